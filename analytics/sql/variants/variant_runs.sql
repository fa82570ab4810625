-- The logged runs of one version, with all but the trace: is_regular where a typed list can give that back, if there is one.
-- Grain: logged run, in no order. All rows of whole days mostly come as they lie in the files, so irregular ones are not left out.
-- $realm varchar: tenant; NULL is the NULL realm. $strategy varchar, $version integer: the version.
-- $since, $until timestamptz: half-open window of created_at.
-- $part double: part of the drawn runs to take, an even one by a hash of their ids.
-- $kept double: likewise the part of the ok runs with finite points whose values are wanted, the smaller of them within the larger.
-- $only_kept boolean: those alone, whatever $part is.
select execution_id, created_at, sample_weight, sampled, points, case_name, external_game_id, external_task_id,
       external_user_id, parent_strategy_id,
       (hash(execution_id) % 1000000)::integer                                              as lot,
       case when status = 'ok' and sampled then sample_weight / $part::double else sample_weight end as run_weight,
       status = 'ok' and coalesce(notes, '') not like 'trace truncated: %'                  as is_whole,
       coalesce(strategy_type = 'DSL_EXTEND', false)                                        as is_extend,
       trace_irregular is null                                                              as is_regular,
       coalesce(is_regular and status = 'ok' and isfinite(points) and lot < 1000000 * $kept::double, false) as is_kept
  from executions
 where realm_id is not distinct from $realm
   and strategy_id = $strategy
   and strategy_version = $version::integer
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and case when $only_kept::boolean then is_kept
            else status <> 'ok' or not sampled or lot < 1000000 * $part::double end
