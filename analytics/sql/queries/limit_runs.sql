-- Every logged run that a limit stopped, that tripped a canary of the sandbox, or that failed with an unknown code, newest first.
-- Grain: logged run with status limit or timeout, or a failure whose code no validated program can give (kind canary), or whose
-- code begins like one of the engine's and is not known here (kind unknown). The codes are in error_codes.
-- All failures are meant to be kept, so these rows count runs. Nodes are not shown: stopped runs log 0, which is not what they did.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column kind: limit or timeout; canary where the code is one that no validated program gives; unknown where it looks like the engine's and is not known.
with gathered as (
  select e.created_at,
         e.day,
         e.realm_id,
         e.strategy_id,
         e.strategy_version,
         case when e.status in ('limit', 'timeout') then e.status when c.is_canary then 'canary' else 'unknown' end as kind,
         e.status,
         e.error_code,
         e.duration_ms,
         e.external_game_id,
         e.external_task_id,
         e.external_user_id,
         e.execution_id
    from executions e
    left join error_codes c on c.error_code = e.error_code
   where (e.status in ('limit', 'timeout')
          or (e.status <> 'ok' and coalesce(c.is_canary, lower(e.error_code) like 'dsl%')))
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
)
select g.created_at,
       g.realm_id,
       coalesce(d.family_name, g.strategy_id) as strategy,
       g.strategy_version,
       g.kind,
       g.status,
       g.error_code,
       g.duration_ms,
       g.external_game_id,
       g.external_task_id,
       g.external_user_id,
       d.family_name,
       g.strategy_id,
       g.execution_id
  from gathered g
  left join definitions d
    on d.strategy_id = g.strategy_id and d.strategy_version = g.strategy_version
 order by g.created_at desc nulls last, g.execution_id
