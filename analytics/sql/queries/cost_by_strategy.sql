-- What each strategy costs: runs, failures, time and nodes, with the sums that estimates are made of.
-- Grain: realm, strategy, version. A strategy is a family name, or a strategy_id where no definition is known.
-- Durations that cannot be one (NaN, infinite, negative) do not enter est_total_ms, and what is longer than ten seconds counts
-- as ten: one stuck run, which stands for twenty, shall not hide the fleet.
-- canary_count: failures whose code no validated program can give; unknown_code_count: whose code begins like one of the engine's
-- and is not known here. The codes are in error_codes.
-- Which traces were cut, and to how many entries, is read in the notes: counting entries would read every trace.
-- Sums of milliseconds are decimal: those of doubles come out another way each time, as threads add in another order.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column logged_count: Rows in the log, whatever became of the run.
-- column kept_count: Rows kept because the run failed.
-- column cut_logged_count: Logged ok runs whose trace was cut, as their notes say.
-- for reports
with gathered as (
  -- By status and code: what is counted of some of them only is picked out of few sums, not asked of every run.
  select e.realm_id,
         e.day,
         e.strategy_id,
         e.strategy_version,
         e.status,
         e.sampled,
         e.error_code,
         count(*)                                                           as logged_count,
         count(*) filter (where e.nodes_executed > e.stored_entries)        as cut_logged_count,
         sum(e.sample_weight::decimal(38, 9))                               as weights,
         sum((e.sample_weight * e.sample_weight)::decimal(38, 9))           as squares,
         sum((e.sample_weight * e.took)::decimal(38, 6))                    as total_ms,
         sum((e.sample_weight * (e.sample_weight - 1) * e.took * e.took)::decimal(38, 6)) as total_ms_variance,
         sum((e.sample_weight * e.nodes_executed)::decimal(38, 6))          as nodes,
         sum((e.sample_weight * e.stored_entries)::decimal(38, 6))          as stored_entries,
         max(e.nodes_executed)                                              as nodes_max,
         min(e.created_at)                                                  as first_logged_at,
         max(e.created_at)                                                  as last_logged_at
    from (select * exclude (trace),
                 case when isfinite(duration_ms) and duration_ms >= 0 then least(duration_ms, 10000) end as took,
                 coalesce(case when starts_with(notes, 'trace truncated: ')
                               then try_cast(regexp_extract(notes, '-> ([0-9]+) entries', 1) as integer) end,
                          nodes_executed)                                   as stored_entries
            from executions) as e
   where ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select g.realm_id,
       coalesce(d.family_name, g.strategy_id)          as strategy,
       g.strategy_version,
       min(d.family_name)                              as family_name,
       min(g.strategy_id)                              as strategy_id,
       sum(g.logged_count)::bigint                     as logged_count,
       coalesce(sum(g.logged_count) filter (where g.status = 'ok'), 0)::bigint      as ok_logged_count,
       coalesce(sum(g.logged_count) filter (where g.sampled), 0)::bigint            as sampled_count,
       coalesce(sum(g.logged_count) filter (where not g.sampled), 0)::bigint        as kept_count,
       coalesce(sum(g.logged_count) filter (where g.status <> 'ok'), 0)::bigint     as failed_count,
       coalesce(sum(g.logged_count) filter (where g.status = 'timeout'), 0)::bigint as timeout_count,
       coalesce(sum(g.logged_count) filter (where g.status = 'limit'), 0)::bigint   as limit_count,
       coalesce(sum(g.logged_count) filter (where c.is_canary and g.status not in ('ok', 'limit', 'timeout')), 0)::bigint
                                                       as canary_count,
       coalesce(sum(g.logged_count) filter (where c.error_code is null and lower(g.error_code) like 'dsl%'
                                              and g.status not in ('ok', 'limit', 'timeout')), 0)::bigint
                                                       as unknown_code_count,
       coalesce(sum(g.cut_logged_count) filter (where g.status = 'ok'), 0)::bigint  as cut_logged_count,
       coalesce(sum(g.weights)::double, 0)             as est_runs,
       coalesce((sum(g.weights) filter (where g.sampled))::double, 0)               as weight_sum,
       coalesce((sum(g.squares) filter (where g.sampled))::double, 0)               as weight_square_sum,
       coalesce(sum(g.total_ms)::double, 0)            as est_total_ms,
       coalesce(sum(g.total_ms_variance)::double, 0)   as est_total_ms_variance,
       coalesce((sum(g.nodes) filter (where g.status = 'ok'))::double, 0)           as est_nodes,
       coalesce((sum(g.stored_entries) filter (where g.status = 'ok'))::double, 0)  as est_stored_entries,
       max(g.nodes_max) filter (where g.status = 'ok') as nodes_max,
       min(g.first_logged_at)                          as first_logged_at,
       max(g.last_logged_at)                           as last_logged_at
  from gathered g
  left join definitions d
    on d.strategy_id = g.strategy_id and d.strategy_version = g.strategy_version
  left join error_codes c
    on c.error_code = g.error_code
 group by g.realm_id, coalesce(d.family_name, g.strategy_id), g.strategy_version
 order by est_total_ms desc, g.realm_id, strategy, g.strategy_version
