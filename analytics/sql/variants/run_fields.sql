-- What logged runs of one version read: the values behind the fields of their program.
-- Grain: logged ok run with finite points whose trace fits the program.
-- $realm varchar: tenant; NULL is the NULL realm. $strategy varchar, $version integer: the version.
-- $since, $until timestamptz: half-open window of created_at.
-- $share double: part of the runs to take, an even one by a hash of their ids.
-- Reads the relation variant_places: variant, and for each field the entry that read it (0-based; NULL: not read).
select runs.execution_id, runs.created_at, runs.sample_weight, runs.sampled, runs.points, runs.case_name, runs.external_game_id,
       runs.external_task_id, runs.external_user_id, runs.parent_strategy_id, places.number as variant,
       list_transform(places.entries, lambda entry: runs.trace[entry + 1].value) as field_values
  from executions as runs
  join variant_places as places
    on places.variant = run_shape(runs.trace, runs.status = 'ok' and coalesce(runs.notes, '') not like 'trace truncated: %')
 where runs.realm_id is not distinct from $realm
   and runs.strategy_id = $strategy
   and runs.strategy_version = $version::integer
   and runs.day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and runs.created_at >= $since::timestamptz
   and runs.created_at <  $until::timestamptz
   and runs.status = 'ok'
   and isfinite(runs.points)
   and runs.trace is not null
   and runs.trace_irregular is null
   and hash(runs.execution_id) % 1000000 < 1000000 * $share::double
 -- Sums of floats depend on the order of their rows, and a report of the same runs is to be the same.
 order by runs.execution_id
