-- Logged ok runs of one version that may have left entries: all of them, or an even part by a hash of their ids.
-- Grain: logged ok run, in the order of the hash; its trace is one that a typed list can give back, if it has one.
-- $realm varchar: tenant; NULL is the NULL realm. $strategy varchar, $version integer: the version.
-- $since, $until timestamptz: half-open window of created_at. $recent timestamptz: from when on a run is of the window that is
-- asked about; what is older only adds evidence.
-- $share, $share_before double: part of the runs to take, from $recent on and before it. sample_weight makes up for it.
with runs as (
  select execution_id, day, created_at >= $recent::timestamptz as is_recent, strategy_type = 'DSL_EXTEND' as is_extend,
         nodes_executed, points, case_name, external_game_id, external_task_id, external_user_id, sample_weight,
         case when created_at >= $recent::timestamptz then $share::double else $share_before::double end as share
    from executions
   where realm_id is not distinct from $realm
     and strategy_id = $strategy
     and strategy_version = $version::integer
     and day between ($since::timestamptz)::date and ($until::timestamptz)::date
     and created_at >= $since::timestamptz
     and created_at <  $until::timestamptz
     and status = 'ok'
     and trace_irregular is null
     and sample_weight > 0
)
select execution_id, day, is_recent, is_extend, nodes_executed, points, case_name, external_game_id, external_task_id,
       external_user_id, sample_weight / share as sample_weight
  from runs
 where hash(execution_id) % 1000000 < 1000000 * share
 order by hash(execution_id), execution_id
