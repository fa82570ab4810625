-- The newest row after a time, as ANALYZE saw it: no row is read. One row; NULL where it has seen nothing.
select max(bound) at time zone 'UTC' as newest
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = 'created_at'
                 and s.inherited = (c.relkind = 'p')
 cross join unnest(s.histogram_bounds::text::timestamptz[]) as bound
 where c.oid = to_regclass('strategyexecutionlog')
   and isfinite(bound)
   and bound >= %(after)s
   and bound < '9999-12-31 00:00:00+00'
