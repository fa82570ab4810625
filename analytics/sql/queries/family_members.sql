-- Which strategy ids and versions belong to one strategy, by family name or by any id of the family.
-- Grain: one row per strategy id and version seen in the log or in the definitions.
-- $realm varchar: tenant; NULL is the NULL realm, unless $any_realm.
-- $any_realm boolean: look in every realm; NULL means no.
-- $family varchar: name of the strategy; NULL when $strategy is given.
-- $strategy varchar: id of any version; its whole family is found where definitions tell it.
-- for reports
with gathered as (
  select distinct realm_id, day, strategy_id, strategy_version from executions
), seen as (
  select distinct realm_id, strategy_id, strategy_version from gathered
), named as (
  select coalesce(s.strategy_id, d.strategy_id)           as strategy_id,
         coalesce(s.strategy_version, d.strategy_version) as strategy_version,
         case when s.strategy_id is null then d.realm_id else s.realm_id end as realm_id,
         coalesce(d.family_name, max(d.family_name) over (partition by coalesce(s.strategy_id, d.strategy_id))) as family_name,
         s.strategy_id is not null                        as is_logged,
         d.strategy_id is not null                        as has_definition
    from seen as s
    full join definitions as d
      on d.strategy_id = s.strategy_id
     and d.strategy_version = s.strategy_version
     and d.realm_id is not distinct from s.realm_id
), wanted as (
  select family_name, realm_id
    from named
   where strategy_id = $strategy
     and family_name is not null
)
select n.realm_id, n.family_name, n.strategy_id, n.strategy_version, n.is_logged, n.has_definition
  from named as n
 where (coalesce($any_realm, false) or n.realm_id is not distinct from $realm)
   and (n.family_name = $family
        or n.strategy_id = $strategy
        or exists (select 1 from wanted as w where w.family_name = n.family_name and w.realm_id is not distinct from n.realm_id))
 order by n.realm_id, n.family_name, n.strategy_version, n.strategy_id
