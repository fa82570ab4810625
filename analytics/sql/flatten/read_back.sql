-- What lies on disk: rows and the order-free hash of ids, as the server computes it.
select filename,
       count(*),
       sum(('0x' || left(replace(execution_id, '-', ''), 15))::bigint)
  from read_parquet($paths, filename = true, hive_partitioning = false)
 group by filename
