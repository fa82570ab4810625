-- Ids in a partition's present file that did not come from the source this time.
select execution_id
  from read_parquet($path, hive_partitioning = false)
 where execution_id not in (select execution_id from loaded where number = $number)
