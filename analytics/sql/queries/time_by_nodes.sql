-- How long ok runs take, day by day and by the nodes they executed: what tells the walk from the queries around it.
-- Grain: realm, strategy, version, UTC day, bin of nodes, and up to three rows for the runs of a bin: as they are where there
-- are one or two, otherwise their quantiles 1/6, 1/2 and 5/6, each of which stands for a third. Ten million runs so become some
-- hundred thousand rows that have the same medians.
-- Cancelled runs (no points, no node) and durations that cannot be one (NaN, infinite, negative, decades) are left out.
-- nodes_executed is the mean of its bin: single nodes up to 64, then steps of about 4 %.
-- logged_count is the logged runs a row stands for; it need not be whole.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column nodes_executed: Mean of the bin's nodes: single nodes up to 64, then steps of about 4 %.
-- column duration_ms: A run's wall clock, or a quantile (1/6, 1/2, 5/6) of the bin's.
-- column logged_count: Logged runs that the row stands for; need not be whole.
-- for reports
with gathered as (
  select e.realm_id,
         coalesce(d.family_name, e.strategy_id) as strategy,
         e.strategy_version,
         e.day,
         avg(e.nodes_executed)                  as nodes_executed,
         count(*)                               as logged_count,
         case count(*) when 1 then [min(e.duration_ms)]
                       when 2 then [min(e.duration_ms), max(e.duration_ms)]
                       else quantile_cont(e.duration_ms, [1 / 6, 1 / 2, 5 / 6]) end as durations
    from executions e
    left join definitions d
      on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
   where e.status = 'ok'
     and not (e.points is null and e.nodes_executed = 0)
     and e.day is not null
     and isfinite(e.duration_ms) and e.duration_ms between 0 and 1e12
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by e.realm_id, coalesce(d.family_name, e.strategy_id), e.strategy_version, e.day,
            case when e.nodes_executed <= 64 then e.nodes_executed else 64 + round(17 * log2(e.nodes_executed / 64.0)) end
)
select realm_id, strategy, strategy_version, day, nodes_executed,
       unnest(durations)                      as duration_ms,
       logged_count / array_length(durations) as logged_count
  from gathered
 order by all
