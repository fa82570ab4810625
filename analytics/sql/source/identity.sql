-- Which server, database, schema and table is this? Compared from run to run, so that another server behind the same URL, or
-- another deployment in a schema beside it, is noticed. Of a view the tables count that it reads.
with recursive behind (oid) as (
  select to_regclass('strategyexecutionlog')::oid
   union
  select d.refobjid
    from behind b
    join pg_rewrite r on r.ev_class = b.oid
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                    and d.refclassid = 'pg_class'::regclass and d.refobjid <> b.oid
)
select current_database()                                as database,
       (select d.oid from pg_database d where d.datname = current_database())::text as database_oid,
       c.oid::text                                       as table_oid,
       n.nspname::text                                   as schema,
       n.oid::text                                       as schema_oid,
       case when c.relkind = 'v' then
         (select coalesce(json_object_agg(t.oid::text, t.relnamespace::regnamespace::text || '.' || quote_ident(t.relname)
                                          order by t.oid), '{}')::text
            from behind
            join pg_class t on t.oid = behind.oid and t.relkind in ('r', 'p', 'm', 'f'))
       end                                               as reads,
       current_setting('server_version')                 as server_version
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where c.oid = to_regclass('strategyexecutionlog')
