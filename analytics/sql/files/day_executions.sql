-- The day files of this table; their rows have the realm of no folder.
create or replace view files.day_executions as
select * exclude (filename, below_root),
       nullif(url_decode(substr(below_root, strpos(below_root, '/realm=') + 7,
                                strpos(below_root, '/day=') - strpos(below_root, '/realm=') - 7)),
              '__HIVE_DEFAULT_PARTITION__')                            as realm,
       try_cast(substr(below_root, strpos(below_root, '/day=') + 5, 10) as date) as day
  from (select *, substr(filename, getvariable('root_length'))         as below_root
          from read_parquet(getvariable('day_executions_files'), hive_partitioning = false, filename = true));
