-- The share of ok runs that need more than so many nodes, for charts.exceedance.
-- Grain: strategy, number of nodes that an ok run needed. Weighed by sample_weight.
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
with runs as (
  select coalesce(family_name, strategy_id) as label, nodes_executed as nodes, sum(sample_weight) as est_runs
    from executions
   where status = 'ok' and nodes_executed > 0 and ($family::varchar is null or family_name = $family::varchar)
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz))
   group by all
)
select label, nodes,
       1 - sum(est_runs) over (partition by label order by nodes) / sum(est_runs) over (partition by label) as share
  from runs
 order by label, nodes
