-- The logged runs of one strategy in a window, without their traces: their length alone would cost more than all the rest.
-- Grain: one row per logged run.
-- $realm varchar: tenant; NULL is the NULL realm.
-- $strategy_ids varchar[]: ids of the family's versions.
-- $since, $until timestamptz: half-open window of created_at.
-- for reports
with gathered as (
  select execution_id, created_at, strategy_id, strategy_version, status, error_code, points, case_name, duration_ms,
         nodes_executed, sampled, sample_weight, external_game_id, external_task_id, external_user_id,
         coalesce(notes, '') like 'trace truncated: %' as is_truncated
    from executions
   where realm_id is not distinct from $realm
     and list_contains($strategy_ids::varchar[], strategy_id)
     and day between ($since::timestamptz)::date and ($until::timestamptz)::date
     and created_at >= $since::timestamptz
     and created_at <  $until::timestamptz
)
select * from gathered
 order by created_at, execution_id
