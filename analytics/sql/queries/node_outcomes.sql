-- How the nodes of one version turned out in a window: entries, how many were true, mean of numbers.
-- Grain: node id and type (ids that repeat within a run are taken together; failed runs have no trace).
-- $realm varchar: tenant; NULL is the NULL realm.
-- $strategy varchar, $version integer: the version.
-- $since, $until timestamptz: half-open window of created_at.
-- column entry_count: Logged entries of the node.
-- column true_count: Entries with value true.
-- column number_count: Entries whose value is a finite number.
select node_id,
       type,
       count(*)                                                            as entry_count,
       count(*) filter (where value_boolean)                               as true_count,
       count(value_boolean)                                                as boolean_count,
       count(value_number) filter (where isfinite(value_number))           as number_count,
       avg(value_number)   filter (where isfinite(value_number))           as number_mean,
       coalesce(stddev_samp(value_number) filter (where abs(value_number) < 1e150), 0) as number_deviation
  from nodes
 where realm_id is not distinct from $realm
   and strategy_id = $strategy
   and strategy_version = $version::integer
   and status = 'ok'
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
 group by node_id, type
 order by node_id, type
