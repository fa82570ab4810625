-- The files of this table, by explicit path. The hive types are named, or a realm "007" would become a number.
-- realm_id inside is the truth: a file may lie in another tenant's folder.
create or replace view files.node_days as
from read_parquet(getvariable('node_days_files'), hive_partitioning = true, hive_types = {'realm': varchar, 'day': date})
where getvariable('realms_in_sight') is null
   or list_contains(getvariable('realms_in_sight'), realm_id)
   or (realm_id is null and getvariable('null_realm_in_sight'));
