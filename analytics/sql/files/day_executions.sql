-- The day files of this table; their rows have the realm of no folder.
create or replace view files.day_executions as
select * exclude (filename), files.realm_of(filename) as realm, files.day_of(filename) as day
  from read_parquet(getvariable('day_executions_files'), hive_partitioning = false, filename = true);
