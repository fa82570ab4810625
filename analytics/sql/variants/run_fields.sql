-- What logged runs of one version read: the values behind the entries of their traces, or those of fields alone.
-- Grain: logged ok run with finite points, in no order. No join with the variants that are wanted: where a scan is thought to give
-- few rows, it would be taken for the side of the join that is kept in memory, with all traces.
-- $realm varchar: tenant; NULL is the NULL realm. $strategy varchar, $version integer: the version.
-- $since, $until timestamptz: half-open window of created_at.
-- $share double: part of the runs to take, an even one by a hash of their ids.
-- $only_fields boolean: values of fields alone.
select execution_id, created_at, sample_weight, sampled, points, case_name, external_game_id, external_task_id,
       external_user_id, parent_strategy_id,
       run_shape(trace, status = 'ok' and coalesce(notes, '') not like 'trace truncated: %') as variant,
       list_transform(case when $only_fields::boolean then list_filter(trace, lambda entry: entry.type = 'field') else trace end,
                      lambda entry: entry.value) as entry_values
  from executions
 where realm_id is not distinct from $realm
   and strategy_id = $strategy
   and strategy_version = $version::integer
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and status = 'ok'
   and isfinite(points)
   and trace is not null
   and trace_irregular is null
   and hash(execution_id) % 1000000 < 1000000 * $share::double
