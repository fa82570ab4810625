-- Which share of the rows lies in the newest week, as ANALYZE saw it: no row is read. No row, where it has seen nothing.
-- Between two neighbouring bounds of the histogram lie equally many rows.
select count(*) filter (where bound > newest - interval '7 days')::float8 / count(*) as share,
       newest at time zone 'UTC'                                                      as newest
  from (select bound, max(bound) over () as newest
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
          join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = 'created_at'
                         and s.inherited = (c.relkind = 'p')
         cross join unnest(s.histogram_bounds::text::timestamptz[]) as bound
         where c.oid = to_regclass('strategyexecutionlog')
           and isfinite(bound)) as histogram
 group by newest
