-- How many nodes runs need, day by day: the material of trends.
-- Grain: realm, strategy, version, UTC day, nodes_executed, sample_weight; ok runs, cancelled ones (no points, no node) left out,
-- and runs that a cap stopped: they log 0 nodes and needed more than any, so their nodes_executed is NULL here.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
select e.realm_id,
       coalesce(d.family_name, e.strategy_id) as strategy,
       e.strategy_version,
       e.day,
       case when e.status = 'ok' then e.nodes_executed end as nodes_executed,
       e.sample_weight,
       count(*)                               as logged_count
  from executions e
  left join definitions d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
 where ((e.status = 'ok' and not (e.points is null and e.nodes_executed = 0)) or e.status = 'limit')
   and e.day is not null
   and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
 group by all
 order by all
