-- The same as run_fields, of runs whose entries were kept when their variants were looked for (trace_variants).
-- Grain: logged ok run with finite points, in no order.
-- $share double: part of the runs to take, an even one by a hash of their ids.
-- Reads the relation kept_runs.
select execution_id, created_at, sample_weight, sampled, points, case_name, external_game_id, external_task_id,
       external_user_id, parent_strategy_id, variant, entry_values
  from kept_runs
 where hash(execution_id) % 1000000 < 1000000 * $share::double
