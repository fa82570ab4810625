-- Every value of one file, read and forgotten: a page that cannot be read says so.
select count(*), bit_xor(hash(one_row))
  from read_parquet(getvariable('looked_at'), hive_partitioning = false) as one_row
