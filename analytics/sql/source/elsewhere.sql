-- Where else a table of this name is, for an error that helps: schemas off the search path, or without USAGE.
select n.nspname                                   as schema_name,
       has_schema_privilege(n.oid, 'USAGE')        as has_usage
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.relname = %(table)s
   and c.relkind in ('r', 'p', 'v', 'm', 'f')
 order by 1
