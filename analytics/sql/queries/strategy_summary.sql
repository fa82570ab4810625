-- What each strategy did: runs, failures, points, durations and nodes, estimated with 95 % intervals.
-- Grain: realm, strategy, version. This statement only gathers, one list of values per weight; analytics/warehouse/strategy_summary.py makes the
-- estimates of it. logged_count and failed_count count the log, columns named est_ estimate runs: with _low and _high (NULL: open or
-- unknown), _grade (good, rough, too few), and _is_at_least where the number is a lower bound (stopped runs; a rate of 0).
-- A jackpot that is rarer than three among the drawn rows may not be one of them, and then is not in the intervals of
-- est_points_mean and est_points_sum: docs/estimates.md says how often.
-- points_set_aside_count: ok rows whose points are NULL, NaN or infinite; they are runs, and enter no mean and no sum.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column logged_count: Rows in the log: ok runs that were drawn, and all failures.
with part as (
  select e.realm_id,
         e.strategy_id,
         e.strategy_version,
         case when e.status = 'ok' then 'ok' when e.status in ('limit', 'timeout') then 'limit' else 'error' end as status,
         e.status = 'ok' and e.sampled                                                       as is_drawn,
         e.sample_weight,
         count(*)                                                                            as logged_count,
         list(e.points) filter (where e.status = 'ok' and isfinite(e.points))                as points,
         list(e.duration_ms) filter (where isfinite(e.duration_ms) and e.duration_ms >= 0)   as durations,
         -- A cancelled call is ok without points and without nodes: it says nothing of what a run needs.
         list(e.nodes_executed) filter (where e.status = 'ok' and not (e.points is null and e.nodes_executed = 0)) as nodes
    from executions e
   where ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
     -- One portion of a large lake: realms in the order of their text, whose row groups a reader can tell by their statistics.
     and case when coalesce(getvariable('no_realm'), false) then e.realm_id is null
              else (getvariable('realm_above') is null or e.realm_id > getvariable('realm_above'))
               and (getvariable('realm_to') is null or e.realm_id <= getvariable('realm_to')) end
   group by all
), smallest as (
  select realm_id, min(list_min(sample_rates)) as rate
    from partitions
   where ($since::timestamptz is null or day >= $since::timestamptz::date)
     and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
   group by all
)
select p.*, d.family_name, s.rate as smallest_rate
  from part p
  left join smallest s on s.realm_id is not distinct from p.realm_id
  left join (select strategy_id, strategy_version, min(family_name) as family_name from definitions group by all) d
    on d.strategy_id = p.strategy_id and d.strategy_version = p.strategy_version
 order by p.realm_id nulls last, p.strategy_id, p.strategy_version, p.status, p.sample_weight
