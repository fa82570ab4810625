-- The files of this table, by explicit path. The folder's realm is left out.
-- realm_id inside is the truth: a file may lie in another tenant's folder.
create or replace view files.program_history as
from read_parquet(getvariable('program_history_files'), hive_partitioning = false)
where getvariable('realms_in_sight') is null
   or list_contains(getvariable('realms_in_sight'), realm_id)
   or (realm_id is null and getvariable('null_realm_in_sight'));
