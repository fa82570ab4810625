-- Transactions of other sessions that may still commit rows, oldest first. created_at is the application's clock, and the
-- row commits later: anything that such a transaction started before may still arrive.
select a.pid,
       coalesce(a.usename::text, '(dropped)')                          as role,
       a.xact_start at time zone 'UTC'                                as began
  from pg_stat_activity a
 where a.datname = current_database()
   and (a.backend_type = 'client backend' or a.backend_type like 'logical replication%worker')
   and a.pid <> pg_backend_pid()
   and a.xact_start is not null
 order by a.xact_start
