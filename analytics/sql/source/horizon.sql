-- Up to when can rows be taken as committed? created_at is the application's clock, and the row commits later: anything
-- an open transaction started before may still arrive. One row; clock of the server.
-- A role without pg_read_all_stats sees other roles' backends with every time NULL: those are counted as hidden.
select now() at time zone 'UTC'                                       as snapshot_at,
       pg_is_in_recovery()                                            as is_standby,
       (select count(*)
          from pg_stat_activity a
         where a.datname = current_database()
           and a.backend_type is distinct from 'parallel worker'
           and a.pid <> pg_backend_pid()
           and a.backend_start is null)                               as hidden_backends,
       oldest.pid,
       oldest.usename                                                 as role,
       oldest.xact_start at time zone 'UTC'                           as xact_start
  from (select 1) as one
  left join lateral (
        select a.pid, a.usename, a.xact_start
          from pg_stat_activity a
         where a.datname = current_database()
           and a.backend_type = 'client backend'
           and a.pid <> pg_backend_pid()
           and a.xact_start is not null
         order by a.xact_start
         limit 1) as oldest on true
