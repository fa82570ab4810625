-- What somebody's own question needs of durations and nodes: the values themselves, for quantiles.
-- Grain: group, side, outcome, weight; the same numbers of groups as in sums.sql, the same outcomes and filters as in the query
-- strategy_summary. A column that nobody asked for is NULL in asked_runs, and its lists are empty.
with part as (
  select grp, side,
         case when status = 'ok' then 'ok' when status in ('limit', 'timeout') then 'limit' else 'error' end as status,
         status = 'ok' and sampled                                                                          as is_drawn,
         sample_weight,
         count(*)                                                                                           as logged_count,
         list(duration_ms) filter (where isfinite(duration_ms) and duration_ms >= 0)                        as durations,
         -- A cancelled call is ok without points and without nodes: it says nothing of what a run needs.
         list(nodes_executed) filter (where status = 'ok' and nodes_executed is not null and not (points is null and nodes_executed = 0)) as nodes
    from asked_runs
   group by all
)
select dense_rank() over (order by grp nulls last) as number, * exclude grp
  from part
 order by number, side, status, sample_weight
