-- The ways through one version's program that logged runs took, each with the trace of one of them.
-- Grain: variant, the longest-lived first.
-- $realm varchar: tenant; NULL is the NULL realm. $strategy varchar, $version integer: the version.
-- $since, $until timestamptz: half-open window of created_at.
select run_shape(trace, status = 'ok' and coalesce(notes, '') not like 'trace truncated: %') as variant,
       any_value(status = 'ok' and coalesce(notes, '') not like 'trace truncated: %')        as is_whole,
       any_value(strategy_type = 'DSL_EXTEND')                                               as is_extend,
       count(*)                                                                              as logged_count,
       sum(sample_weight)                                                                    as weight,
       any_value(trace)                                                                      as trace
  from executions
 where realm_id is not distinct from $realm
   and strategy_id = $strategy
   and strategy_version = $version::integer
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and trace is not null
   and trace_irregular is null
 group by variant
 order by min(created_at), variant
