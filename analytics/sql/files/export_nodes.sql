-- One realm and day of the view nodes as a flat Parquet file.
copy (
  select *
    from nodes
   where realm_id is not distinct from $realm
     and day is not distinct from $day::date
   order by strategy_id, strategy_version, created_at, execution_id, seq
) to $path (format parquet, compression zstd)
