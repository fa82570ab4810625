-- Which strategy ids and versions carry an experiment's tag.
-- Grain: one row per strategy id and version among the definitions.
-- $realm varchar: tenant; NULL is the NULL realm, unless $any_realm.
-- $any_realm boolean: look in every realm; NULL means no.
-- $tag varchar: the experiment's tag.
-- for reports
select realm_id, family_name, strategy_id, strategy_version
  from definitions
 where experiment_tag = $tag
   and (coalesce($any_realm, false) or realm_id is not distinct from $realm)
 order by realm_id, family_name, strategy_version, strategy_id
