-- Logged rows per hour, as the sampler and the rule "all failures are kept" left them.
-- Grain: realm, strategy, UTC hour of created_at; runs without a time are not here. Counts are of the log; est_ok_runs is what the
-- weights make of the drawn rows. error_count leaves out timeout and limit, which come in bursts of their own.
-- Runs are grouped by the number of their hour since the year 1: the calendar of date_trunc costs more than all the rest, asked run by run.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column failed_count: Rows kept because the run failed.
-- for reports
with gathered as (
  select e.realm_id,
         e.day,
         e.strategy_id,
         (epoch_us(e.created_at) + 62135596800000000) // 3600000000                    as hour_number,
         min(e.created_at)                                                             as first_at,
         count(*) filter (where e.status = 'ok' and e.sampled)                         as drawn_count,
         count(*) filter (where e.status = 'ok' and e.sampled and e.sample_weight is null) as unweighted_count,
         sum(e.sample_weight::decimal(38, 9)) filter (where e.status = 'ok' and e.sampled) as weights,
         count(*) filter (where e.status <> 'ok')                                      as failed_count,
         count(*) filter (where e.status not in ('ok', 'timeout', 'limit'))            as error_count
    from executions e
   where e.created_at is not null
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select realm_id,
       strategy_id,
       date_trunc('hour', min(first_at))   as hour,
       sum(drawn_count)::bigint            as drawn_count,
       sum(unweighted_count)::bigint       as unweighted_count,
       coalesce(sum(weights)::double, 0)   as est_ok_runs,
       sum(failed_count)::bigint           as failed_count,
       sum(error_count)::bigint            as error_count
  from gathered
 group by realm_id, strategy_id, hour_number
 order by realm_id nulls last, strategy_id, hour
