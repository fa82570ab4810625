-- Flattened rows (flat) of planned partitions in file order, the partition's number first; exact readings take the place of
-- lists that could not be proved. Within a file by strategy, version and time: a reader of one strategy skips the rest.
select planned.number,
       false as is_kept,
       coalesce(trace_bytes, 0) as trace_bytes,
       flat.execution_id, created_at, created_at_irregular, updated_at, oauth_user_id, strategy_id, strategy_version,
       strategy_type, flat.realm_id, external_game_id, external_task_id, external_user_id, status, error_code, points,
       case_name, duration_ms, nodes_executed,
       case when mended.execution_id is null then flat.trace else mended.trace end as trace,
       case when mended.execution_id is null then flat.trace_irregular else mended.trace_irregular end as trace_irregular,
       sampled, parent_strategy_id, notes, sample_weight
  from flat
  join planned on planned.realm_id is not distinct from flat.realm_id and planned.day is not distinct from flat.day
  left join mended on mended.execution_id = flat.execution_id
 order by planned.number, strategy_id, strategy_version, created_at, flat.execution_id
