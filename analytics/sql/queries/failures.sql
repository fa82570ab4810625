-- Failures by strategy and code: how many, since when, until when, one example.
-- Grain: realm, strategy, version, status, error code. Failures are all kept: these counts are runs, not a sample.
-- $since, $until timestamptz: half-open window of created_at.
-- $family varchar: only this strategy; NULL for all.
-- column status: error, timeout or limit; any other value that is not ok.
-- column first_at: When the first of them ended, UTC.
-- column last_at: When the last of them ended, UTC.
select e.realm_id,
       d.family_name,
       e.strategy_id,
       e.strategy_version,
       e.status,
       e.error_code,
       count(*)                            as failed_count,
       min(e.created_at)                   as first_at,
       max(e.created_at)                   as last_at,
       arg_max(e.execution_id, (e.created_at, e.execution_id)) filter (where e.created_at is not null) as example_execution_id
  from executions as e
  left join definitions as d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
 where e.status <> 'ok'
   and ($since is null or e.day >= ($since::timestamptz)::date)
   and ($until is null or e.day <= ($until::timestamptz)::date)
   and ($since is null or e.created_at >= $since::timestamptz)
   and ($until is null or e.created_at <  $until::timestamptz)
   and ($family is null or d.family_name = $family)
 group by all
 order by failed_count desc, first_at, e.realm_id, e.strategy_id, e.strategy_version, e.status, e.error_code
