-- How many nodes runs need, day by day: the material of trends.
-- Grain: realm, strategy, version, UTC day, nodes_executed, sample_weight; ok runs, cancelled ones (no points, no node) left out,
-- and runs that a cap stopped: they log 0 nodes and needed more than any, so their nodes_executed is NULL here.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column nodes_executed: Entries that the runs left; NULL for runs that a cap stopped, which needed more than any.
-- column logged_count: Logged runs that share all the columns before.
-- for reports
with gathered as (
  select e.realm_id,
         e.day,
         e.strategy_id,
         e.strategy_version,
         case when e.status = 'ok' then e.nodes_executed end as nodes_executed,
         e.sample_weight,
         count(*)                                            as logged_count
    from executions e
   where ((e.status = 'ok' and not (e.points is null and e.nodes_executed = 0)) or e.status = 'limit')
     and e.day is not null
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select g.realm_id,
       coalesce(d.family_name, g.strategy_id) as strategy,
       g.strategy_version,
       g.day,
       g.nodes_executed,
       g.sample_weight,
       sum(g.logged_count)::bigint            as logged_count
  from gathered g
  left join definitions d
    on d.strategy_id = g.strategy_id and d.strategy_version = g.strategy_version
 group by all
 order by all
