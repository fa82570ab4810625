-- Sessions of which nothing is shown: a role without pg_read_all_stats sees other roles' backends with every time NULL. One row.
select count(*)                                                       as hidden_backends
  from pg_stat_activity a
 where a.datname = current_database()
   and a.backend_type is distinct from 'parallel worker'
   and a.pid <> pg_backend_pid()
   and a.backend_start is null
