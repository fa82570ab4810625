-- Which server, database and table is this? Compared from run to run, so that another server behind the same URL is noticed.
select current_database()                                as database,
       (select d.oid from pg_database d where d.datname = current_database())::text as database_oid,
       to_regclass('strategyexecutionlog')::oid::text    as table_oid,
       current_setting('server_version')                 as server_version
