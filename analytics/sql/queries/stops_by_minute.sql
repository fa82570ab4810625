-- What limit_runs lists, counted by minute: for windows in which a limit stopped a million runs.
-- Grain: minute, realm, strategy, version, kind (limit, timeout, canary or unknown), error_code. Runs without a time have no minute.
-- first_at, last_at: of the minute's runs. users: hashes of their distinct users; only_user: the user, where there is only one.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column kind: As in limit_runs: limit, timeout, canary or unknown.
-- column logged_count: Such runs of the minute.
-- column first_at: When the first of them ended, UTC.
-- column last_at: When the last of them ended, UTC.
-- for reports
with gathered as (
  select date_trunc('minute', e.created_at)                                         as minute,
         e.day,
         e.realm_id,
         e.strategy_id,
         e.strategy_version,
         case when e.status in ('limit', 'timeout') then e.status when c.is_canary then 'canary' else 'unknown' end as kind,
         e.error_code,
         count(*)                                                                   as logged_count,
         min(e.created_at)                                                          as first_at,
         max(e.created_at)                                                          as last_at,
         list(distinct left(md5(e.external_user_id), 16)) filter (where e.external_user_id is not null) as users,
         min(e.external_user_id)                                                    as first_user,
         max(e.external_user_id)                                                    as last_user
    from executions e
    left join error_codes c on c.error_code = e.error_code
   where (e.status in ('limit', 'timeout')
          or (e.status <> 'ok' and coalesce(c.is_canary, lower(e.error_code) like 'dsl%')))
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select g.minute,
       g.realm_id,
       coalesce(d.family_name, g.strategy_id)                                        as strategy,
       g.strategy_version,
       g.kind,
       g.error_code,
       sum(g.logged_count)::bigint                                                   as logged_count,
       min(g.first_at)                                                               as first_at,
       max(g.last_at)                                                                as last_at,
       list_sort(list_distinct(flatten(list(g.users) filter (where g.users is not null)))) as users,
       case when min(g.first_user) = max(g.last_user) then min(g.first_user) end     as only_user
  from gathered g
  left join definitions d
    on d.strategy_id = g.strategy_id and d.strategy_version = g.strategy_version
 group by all
 order by g.minute, g.realm_id, strategy, g.strategy_version, g.kind, g.error_code
