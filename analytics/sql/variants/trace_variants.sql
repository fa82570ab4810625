-- The ways through one version's program that logged runs took, each with the trace of one of them and, of some runs, what the
-- entries hold: a trace costs so much to read that it is read once for all that is asked of it.
-- Grain: variant, the longest-lived first.
-- $realm varchar: tenant; NULL is the NULL realm. $strategy varchar, $version integer: the version.
-- $since, $until timestamptz: half-open window of created_at.
-- $part double: part of the runs that are looked at; $share double: part of the runs whose values are kept. Both are even ones by
-- a hash of their ids, the smaller of them within the larger.
-- $types varchar[]: types of the entries whose values are kept, in the order of the trace.
select run_shape(trace, status = 'ok' and coalesce(notes, '') not like 'trace truncated: %') as variant,
       any_value(status = 'ok' and coalesce(notes, '') not like 'trace truncated: %')        as is_whole,
       any_value(strategy_type = 'DSL_EXTEND')                                               as is_extend,
       count(*)                                                                              as logged_count,
       sum(case when status = 'ok' and sampled then sample_weight / $part::double else sample_weight end) as weight,
       any_value(trace)                                                                      as trace,
       list({
         'execution_id': execution_id, 'created_at': created_at, 'sample_weight': sample_weight, 'sampled': sampled,
         'points': points, 'case_name': case_name, 'external_game_id': external_game_id, 'external_task_id': external_task_id,
         'external_user_id': external_user_id, 'parent_strategy_id': parent_strategy_id,
         'entry_values': list_transform(list_filter(trace, lambda entry: list_contains($types::varchar[], entry.type)),
                                        lambda entry: entry.value)})
         filter (where status = 'ok' and isfinite(points) and hash(execution_id) % 1000000 < 1000000 * $share::double) as runs
  from executions
 where realm_id is not distinct from $realm
   and strategy_id = $strategy
   and strategy_version = $version::integer
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and trace is not null
   and trace_irregular is null
   and (status <> 'ok' or not sampled or hash(execution_id) % 1000000 < 1000000 * $part::double)
 group by variant
 order by min(created_at), variant
