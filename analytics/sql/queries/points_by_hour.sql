-- Points per run by hour and version, estimated with 95 % intervals.
-- Grain: hour (UTC), realm, strategy, version; ok runs with finite points only. This statement only gathers; analytics/warehouse/strategy_summary.py makes
-- the estimates of it: est_runs and est_points_mean, each with _low, _high, _grade and _is_at_least as in strategy_summary.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- $family varchar: only this strategy; NULL for all.
-- column logged_count: Logged ok runs with finite points.
select date_trunc('hour', e.created_at) as hour,
       e.realm_id,
       d.family_name,
       e.strategy_id,
       e.strategy_version,
       list(e.points)                                              as points,
       list(coalesce(e.sample_weight, 'nan'::double))              as weights,
       list(e.sampled)                                             as drawn
  from executions as e
  left join definitions as d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
 where e.status = 'ok'
   and isfinite(e.points)
   and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   and ($family::varchar is null or d.family_name = $family::varchar)
 group by all
 order by hour, e.realm_id, d.family_name, e.strategy_version, e.strategy_id
