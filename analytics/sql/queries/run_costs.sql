-- Nodes and milliseconds of every logged run that says something about them.
-- Grain: logged run with status ok, limit or timeout. Failed runs log 0 nodes, which is not what they did: nodes_executed is
-- NULL for them, and for ok runs that were cancelled (no points and no trace).
-- duration_ms is NULL where the log's value cannot be one (NaN, infinite, negative).
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
select e.realm_id,
       coalesce(d.family_name, e.strategy_id) as strategy,
       e.strategy_version,
       e.status,
       case when e.status = 'ok' and not (e.points is null and e.trace is null) then e.nodes_executed end as nodes_executed,
       case when isfinite(e.duration_ms) and e.duration_ms >= 0 then e.duration_ms end as duration_ms,
       e.sample_weight
  from executions e
  left join definitions d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
 where e.status in ('ok', 'limit', 'timeout')
   and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
