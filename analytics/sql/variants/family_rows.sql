-- The same rows as strategy_runs, in no order: a million rows are put in order by their time alone, when their texts are small.
-- Grain: one row per logged run.
-- $realm varchar: tenant; NULL is the NULL realm.
-- $strategy_ids varchar[]: ids of the family's versions.
-- $since, $until timestamptz: half-open window of created_at.
-- $part double: part of the drawn runs to take, an even one by a hash of their ids; sample_weight makes up for it. Failures are all
-- taken: each stands for itself.
select execution_id, created_at, strategy_id, strategy_version, status, error_code, points, case_name, duration_ms,
       nodes_executed, sampled,
       case when status = 'ok' and sampled then sample_weight / $part::double else sample_weight end as sample_weight,
       external_game_id, external_task_id, external_user_id,
       coalesce(notes, '') like 'trace truncated: %' as is_truncated
  from executions
 where realm_id is not distinct from $realm
   and list_contains($strategy_ids::varchar[], strategy_id)
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and (status <> 'ok' or not sampled or hash(execution_id) % 1000000 < 1000000 * $part::double)
