-- What each strategy costs: runs, failures, time and nodes, with the sums that estimates are made of.
-- Grain: realm, strategy, version. A strategy is a family name, or a strategy_id where no definition is known.
-- Durations that cannot be one (NaN, infinite, negative) do not enter est_total_ms, and what is longer than ten seconds counts
-- as ten: one stuck run, which stands for twenty, shall not hide the fleet.
-- Which traces were cut, and to how many entries, is read in the notes: counting entries would read every trace.
-- Sums of milliseconds are decimal: those of doubles come out another way each time, as threads add in another order.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
with runs as (
  select e.* exclude (trace), coalesce(d.family_name, e.strategy_id) as strategy, d.family_name,
         case when isfinite(e.duration_ms) and e.duration_ms >= 0 then least(e.duration_ms, 10000) end as took,
         coalesce(case when starts_with(e.notes, 'trace truncated: ')
                       then try_cast(regexp_extract(e.notes, '-> ([0-9]+) entries', 1) as integer) end,
                  e.nodes_executed)                                       as stored_entries
    from executions e
    left join definitions d
      on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
   where ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
)
select realm_id,
       strategy,
       strategy_version,
       min(family_name)                                             as family_name,
       min(strategy_id)                                                   as strategy_id,
       count(*)                                                           as logged_count,
       count(*) filter (where status = 'ok')                              as ok_logged_count,
       count(*) filter (where sampled)                                    as sampled_count,
       count(*) filter (where not sampled)                                as kept_count,
       count(*) filter (where status <> 'ok')                             as failed_count,
       count(*) filter (where status = 'timeout')                         as timeout_count,
       count(*) filter (where status = 'limit')                           as limit_count,
       count(*) filter (where error_code in ('DSL_FIELD_NOT_PRECOMPUTED', 'DSL_UNKNOWN_STATEMENT')
                          and status <> 'ok')                             as canary_count,
       count(*) filter (where status = 'ok' and nodes_executed > stored_entries) as cut_logged_count,
       coalesce(sum(sample_weight), 0)                                    as est_runs,
       coalesce(sum(sample_weight) filter (where sampled), 0)             as weight_sum,
       coalesce(sum(sample_weight * sample_weight) filter (where sampled), 0) as weight_square_sum,
       coalesce(sum((sample_weight * took)::decimal(38, 6))::double, 0)   as est_total_ms,
       coalesce(sum((sample_weight * (sample_weight - 1) * took * took)::decimal(38, 6))::double, 0) as est_total_ms_variance,
       coalesce(sum(sample_weight * nodes_executed) filter (where status = 'ok'), 0) as est_nodes,
       coalesce(sum(sample_weight * stored_entries) filter (where status = 'ok'), 0) as est_stored_entries,
       max(nodes_executed) filter (where status = 'ok')                   as nodes_max,
       min(created_at)                                                    as first_logged_at,
       max(created_at)                                                    as last_logged_at
  from runs
 group by realm_id, strategy, strategy_version
 order by est_total_ms desc, realm_id, strategy, strategy_version
