-- The files of this table, by explicit path; realm and day are those of their folders (see folders.sql). realm_id inside is the truth: a
-- file may lie in another tenant's folder.
create or replace view files.node_days as
select * exclude (filename), files.realm_of(filename) as realm, files.day_of(filename) as day
  from read_parquet(getvariable('node_days_files'), hive_partitioning = false, filename = true)
 where getvariable('realms_in_sight') is null
    or list_contains(getvariable('realms_in_sight'), realm_id)
    or (realm_id is null and getvariable('null_realm_in_sight'));
