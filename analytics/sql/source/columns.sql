-- The columns of one table as the search path finds it, and what the role may read. No row: no such table in sight.
select a.attname                                                     as column_name,
       regexp_replace(format_type(a.atttypid, a.atttypmod), '\(.*?\)', '') as column_type,
       has_column_privilege(c.oid, a.attnum, 'SELECT')               as is_readable,
       a.attnum::int                                                 as column_number,
       c.relnamespace::regnamespace::text                            as schema_name,
       -- xmin has the number -2; views have none
       c.relkind in ('r', 'p', 'm') and coalesce(has_column_privilege(c.oid, (-2)::smallint, 'SELECT'), false)
                                                                     as has_xmin
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid
 where c.oid = to_regclass(%(table)s)
   and a.attnum > 0
   and not a.attisdropped
 order by a.attnum
