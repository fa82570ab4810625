-- Which nodes the ok runs of one version left while a cap stopped others, and which at other times.
-- Grain: is_meanwhile (within the spans, first and last moment included), is_before (the moment $asked), nodes_executed; ok rows
-- that were not cancelled.
-- $realm text: tenant; NULL is the runs without one.
-- $strategy text: family name, or strategy_id where no definition is known.
-- $version integer: its version.
-- $starts timestamptz[], $ends timestamptz[]: the spans, one start and one end each.
-- $asked timestamptz: start of the window that is reported; what is before it is history.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column nodes_executed: Entries that the runs left.
-- column logged_count: Logged ok runs.
-- for reports
with gathered as (
  with spans as (
    select unnest($starts::timestamptz[]) as starts, unnest($ends::timestamptz[]) as ends
  ), runs as (
    select e.nodes_executed,
           count(s.starts) > 0                                 as is_meanwhile,
           coalesce(e.created_at < $asked::timestamptz, false) as is_before
      from executions e
      left join definitions d
        on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
      left join spans s
        on e.created_at between s.starts and s.ends
     where e.status = 'ok' and not (e.points is null and e.nodes_executed = 0)
       and e.realm_id is not distinct from $realm
       and coalesce(d.family_name, e.strategy_id) = $strategy
       and e.strategy_version = $version
       and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
       and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
     group by e.execution_id, e.created_at, e.nodes_executed
  )
  select is_meanwhile, is_before, nodes_executed, count(*) as logged_count
    from runs
   group by all
)
select is_meanwhile, is_before, nodes_executed, logged_count
  from gathered
 order by all
