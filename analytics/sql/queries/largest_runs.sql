-- Of each version the logged ok run with the most nodes: the one whose explanation shows where they come from.
-- Grain: realm, strategy, version. Cancelled runs and those without nodes are left out; of several as large, the last id by letters.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column nodes_executed: Most entries that a logged ok run of the version left.
-- column execution_id: Id of that run.
with gathered as (
  select e.realm_id,
         e.strategy_id,
         e.strategy_version,
         -- Both in one value that sorts by the nodes: there is one answer, whoever computes it.
         max({'nodes_executed': e.nodes_executed, 'execution_id': e.execution_id}) as largest
    from executions e
   where e.status = 'ok' and e.nodes_executed > 0
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select g.realm_id,
       coalesce(d.family_name, g.strategy_id)       as strategy,
       g.strategy_version,
       max(g.largest).nodes_executed::bigint        as nodes_executed,
       max(g.largest).execution_id                  as execution_id
  from gathered g
  left join definitions d
    on d.strategy_id = g.strategy_id and d.strategy_version = g.strategy_version
 group by g.realm_id, coalesce(d.family_name, g.strategy_id), g.strategy_version
 order by g.realm_id, strategy, g.strategy_version
