-- A slice of the runs on disk, in file order. Runs are sorted, so other row groups are skipped by their statistics.
select * exclude (is_kept, trace_bytes)
  from read_parquet($paths, hive_partitioning = false)
 where number between $first and $last
   and ($strategy_first is null
        or (strategy_id > $strategy_first or strategy_id = $strategy_first and strategy_version >= $version_first)
        and (strategy_id < $strategy_last or strategy_id = $strategy_last and strategy_version <= $version_last))
 order by number, strategy_id, strategy_version, created_at, execution_id
