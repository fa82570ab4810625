-- The files of this table, by explicit path. Realm and day are read from the folders below the lake's root: hive's own reading takes
-- every folder above it for a partition too (backups/day=2026-01-01/lake). By its day a file is left out all the same.
-- realm_id inside is the truth: a file may lie in another tenant's folder.
create or replace view files.node_days as
select * exclude (filename, below_root),
       nullif(url_decode(substr(below_root, strpos(below_root, '/realm=') + 7,
                                strpos(below_root, '/day=') - strpos(below_root, '/realm=') - 7)),
              '__HIVE_DEFAULT_PARTITION__')                            as realm,
       try_cast(substr(below_root, strpos(below_root, '/day=') + 5, 10) as date) as day
  from (select *, substr(filename, getvariable('root_length'))         as below_root
          from read_parquet(getvariable('node_days_files'), hive_partitioning = false, filename = true))
 where getvariable('realms_in_sight') is null
    or list_contains(getvariable('realms_in_sight'), realm_id)
    or (realm_id is null and getvariable('null_realm_in_sight'));
