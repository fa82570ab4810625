-- The files of this table, by explicit path. The hive types are named, or a realm "007" would become a number.
create or replace view files.executions as
from read_parquet(getvariable('executions_files'), hive_partitioning = true, hive_types = {'realm': varchar, 'day': date});
