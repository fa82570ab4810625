-- The day files of this table; their rows have the realm of no folder.
create or replace view files.day_node_days as
select * exclude (filename), files.realm_of(filename) as realm, files.day_of(filename) as day
  from read_parquet(getvariable('day_node_days_files'), hive_partitioning = false, filename = true);
