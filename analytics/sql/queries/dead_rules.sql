-- How often each rule was looked at and how often it matched, rules that left no entry included.
-- Grain: realm, strategy, version, rule id; strategies with logged runs in the window. Whole UTC days, from the daily rollup.
-- Counts are of logged entries. places_count above 1: the program has several rules of this id, which share the counts.
-- position is NULL for a rule of the traces that the definition, if there is one, does not have.
-- cut_logged_count: logged ok runs whose trace was cut, as the notes say, so that a rule's entry may be missing.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
with gathered as (
  -- Of the entries the sums, and beside them the runs that could have left one.
  select realm_id, day, strategy_id, strategy_version, node_id, true as is_rule,
         sum(entry_count)::bigint                                                          as entry_count,
         coalesce(sum(entry_count) filter (where branch = 'match' or starts_with(branch, 'elseif')), 0)::bigint
                                                                                           as match_count,
         coalesce(sum(entry_count) filter (where branch = 'else'), 0)::bigint              as else_count
    from node_days
   where type = 'rule'
     and ($since::timestamptz is null or day >= $since::timestamptz::date)
     and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
   group by all
   union all
  select realm_id, day, strategy_id, strategy_version, null as node_id, false as is_rule,
         count(*)                                                        as entry_count,
         count(*) filter (where starts_with(notes, 'trace truncated: ')) as match_count,
         0                                                               as else_count
    from executions
   where status = 'ok' and nodes_executed > 0
     and ($since::timestamptz is null or day >= $since::timestamptz::date)
     and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
   group by all
), seen as (
  select realm_id, strategy_id, strategy_version, node_id, sum(entry_count)::bigint as entry_count,
         sum(match_count)::bigint as match_count, sum(else_count)::bigint as else_count
    from gathered
   where is_rule
   group by all
), ran as (
  select realm_id, strategy_id, strategy_version, sum(entry_count)::bigint as ok_logged_count,
         sum(match_count)::bigint as cut_logged_count
    from gathered
   where not is_rule
   group by all
), rules as (
  select strategy_id, strategy_version, node_id, count(*) as places_count, min(position) as position,
         min(section) as section, min(rule_index) as rule_index
    from definition_nodes
   where type = 'rule' and node_id is not null
   group by all
), known as (
  select r.realm_id, r.strategy_id, r.strategy_version, p.node_id
    from ran r
    join rules p on p.strategy_id = r.strategy_id and p.strategy_version = r.strategy_version
  union
  select realm_id, strategy_id, strategy_version, node_id from seen
)
select k.realm_id,
       coalesce(d.family_name, k.strategy_id)         as strategy,
       k.strategy_version,
       k.node_id                                      as rule_id,
       p.section,
       p.rule_index,
       p.position,
       coalesce(s.entry_count, 0)                     as entry_count,
       coalesce(s.match_count, 0)                     as match_count,
       coalesce(s.else_count, 0)                      as else_count,
       coalesce(r.ok_logged_count, 0)                 as ok_logged_count,
       coalesce(r.cut_logged_count, 0)                as cut_logged_count,
       coalesce(p.places_count, 1)                    as places_count,
       k.strategy_id
  from known k
  left join seen s
    on s.realm_id is not distinct from k.realm_id and s.strategy_id = k.strategy_id
   and s.strategy_version = k.strategy_version and s.node_id is not distinct from k.node_id
  left join ran r
    on r.realm_id is not distinct from k.realm_id and r.strategy_id = k.strategy_id
   and r.strategy_version = k.strategy_version
  left join rules p
    on p.strategy_id = k.strategy_id and p.strategy_version = k.strategy_version and p.node_id = k.node_id
  left join definitions d
    on d.strategy_id = k.strategy_id and d.strategy_version = k.strategy_version
 order by k.realm_id, strategy, k.strategy_version, p.position, rule_id
