-- What limit_runs lists, counted by minute: for windows in which a limit stopped a million runs.
-- Grain: minute, realm, strategy, version, kind (limit, timeout or canary), error_code. Runs without a time have no minute.
-- first_at, last_at: of the minute's runs. users: hashes of their distinct users; only_user: the user, where there is only one.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
select date_trunc('minute', e.created_at)                                                as minute,
       e.realm_id,
       coalesce(d.family_name, e.strategy_id)                                            as strategy,
       e.strategy_version,
       case when e.status in ('limit', 'timeout') then e.status else 'canary' end        as kind,
       e.error_code,
       count(*)                                                                          as logged_count,
       min(e.created_at)                                                                 as first_at,
       max(e.created_at)                                                                 as last_at,
       list_sort(list(distinct left(md5(e.external_user_id), 16)) filter (where e.external_user_id is not null)) as users,
       case when count(distinct e.external_user_id) = 1 then min(e.external_user_id) end as only_user
  from executions e
  left join definitions d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
 where (e.status in ('limit', 'timeout')
        or (e.status <> 'ok' and e.error_code in ('DSL_FIELD_NOT_PRECOMPUTED', 'DSL_UNKNOWN_STATEMENT')))
   and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
 group by all
 order by minute, e.realm_id, strategy, e.strategy_version, kind, e.error_code
