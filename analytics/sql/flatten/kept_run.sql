-- Rows of a partition's present file that the source has deleted, as a run of their own.
select $number::integer as number,
       true as is_kept,
       coalesce(list_sum(list_transform(trace, lambda e: 60 + length(e.value))), 0)::bigint as trace_bytes,
       execution_id, created_at, created_at_irregular, updated_at, oauth_user_id, strategy_id, strategy_version,
       strategy_type, realm_id, external_game_id, external_task_id, external_user_id, status, error_code, points,
       case_name, duration_ms, nodes_executed, trace, trace_irregular, sampled, parent_strategy_id, notes, sample_weight
  from read_parquet($path, hive_partitioning = false)
 where list_contains($ids::varchar[], execution_id)
 order by strategy_id, strategy_version, created_at, execution_id
