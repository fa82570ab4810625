-- Logged rows per hour, as the sampler and the rule "all failures are kept" left them.
-- Grain: realm, strategy, UTC hour of created_at; runs without a time are not here. Counts are of the log; est_ok_runs is what the
-- weights make of the drawn rows. error_count leaves out timeout and limit, which come in bursts of their own.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
select realm_id,
       strategy_id,
       date_trunc('hour', created_at)                                            as hour,
       count(*) filter (where status = 'ok' and sampled)                         as drawn_count,
       count(*) filter (where status = 'ok' and sampled and sample_weight is null) as unweighted_count,
       coalesce(sum(sample_weight) filter (where status = 'ok' and sampled), 0)  as est_ok_runs,
       count(*) filter (where status <> 'ok')                                    as failed_count,
       count(*) filter (where status not in ('ok', 'timeout', 'limit'))          as error_count
  from executions
 where created_at is not null
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz))
 group by all
 order by realm_id nulls last, strategy_id, hour
