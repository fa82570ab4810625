-- The day files of this table; their rows have the realm of no folder.
create or replace view files.day_node_days as
from read_parquet(getvariable('day_node_days_files'), hive_partitioning = true, hive_types = {'realm': varchar, 'day': date});
