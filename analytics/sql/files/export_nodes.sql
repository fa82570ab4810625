-- One realm and day of the view nodes as a flat Parquet file. The day is a key of its folder: a column of that name beside it is
-- of another type to readers of hive folders, who then read nothing at all.
copy (
  select * exclude (day)
    from nodes
   where realm_id is not distinct from $realm
     and day is not distinct from $day::date
   order by strategy_id, strategy_version, created_at, execution_id, seq
) to $path (format parquet, compression zstd)
