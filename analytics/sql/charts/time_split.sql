-- What the time of runs is made of by a straight line through time and nodes, for charts.time_split.
-- Grain: strategy with sixty ok rows in the log at least, part (walk, rest).
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
with fits as (
  select coalesce(family_name, strategy_id) as label, avg(duration_ms) as total,
         coalesce(regr_intercept(duration_ms, nodes_executed), avg(duration_ms)) as rest,
         coalesce(regr_slope(duration_ms, nodes_executed) * avg(nodes_executed), 0) as walk
    from executions
   where status = 'ok' and isfinite(duration_ms) and duration_ms between 0 and 10000 and ($family::varchar is null or family_name = $family::varchar)
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz))
   group by all having count(*) >= 60
)
select * from (from fits unpivot (ms for kind in (walk, rest)))
 order by total desc, label, kind
