-- The same as run_fields, of runs whose entries were kept when their variants were looked for (trace_variants).
-- Grain: logged ok run with finite points whose trace fits the program.
-- $share double: part of the runs to take, an even one by a hash of their ids.
-- Reads the relations kept_runs, and variant_places: variant, and for each field the place among the kept
-- entries of the one that read it (0-based; NULL: not read).
select runs.execution_id, runs.created_at, runs.sample_weight, runs.sampled, runs.points, runs.case_name, runs.external_game_id,
       runs.external_task_id, runs.external_user_id, runs.parent_strategy_id, places.number as variant,
       list_transform(places.entries, lambda entry: runs.entry_values[entry + 1]) as field_values
  from kept_runs as runs
  join variant_places as places using (variant)
 where hash(runs.execution_id) % 1000000 < 1000000 * $share::double
 -- Sums of floats depend on the order of their rows, and a report of the same runs is to be the same.
 order by runs.execution_id
