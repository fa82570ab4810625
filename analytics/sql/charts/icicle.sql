-- The program of one version with the entries that its nodes left, for charts.icicle. By node id, which is right where ids do not repeat.
-- Grain: node of the program, in walk order.
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
-- $version integer: the version.
with left_entries as (
  select node_id, sum(entry_count) as entries
    from node_days
   where ($family::varchar is null or family_name = $family::varchar) and strategy_version = $version::integer
     and ($since::timestamptz is null or day >= $since::timestamptz::date)
     and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
   group by node_id
)
select n.position, n.parent_position, n.type as kind, coalesce(n.case_name, n.operator, n.type) as label,
       coalesce(e.entries, 0) as entries
  from definition_nodes n
  left join left_entries e on e.node_id = n.node_id
 where ($family::varchar is null or n.family_name = $family::varchar) and n.strategy_version = $version::integer
 order by n.position
