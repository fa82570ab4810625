-- How many logged ok runs of one version have entries, day by day, before the window and in it.
-- Grain: UTC day, is_recent. Parameters as in profile_runs.
select day, created_at >= $recent::timestamptz as is_recent, count(*) as logged_count
  from executions
 where realm_id is not distinct from $realm
   and strategy_id = $strategy
   and strategy_version = $version::integer
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and status = 'ok'
   and nodes_executed > 0
   and sample_weight > 0
 group by all
 order by all
