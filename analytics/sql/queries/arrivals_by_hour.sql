-- Logged rows per strategy and hour, whatever became of the run: who is usually heard of at an hour.
-- Grain: realm, strategy name (or id, where no definition tells one), UTC hour of created_at; runs without a time are not here.
-- Runs are grouped by the number of their hour since the year 1: the calendar of date_trunc costs more than all the rest, asked run by run.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column logged_count: Rows of the hour in the log.
-- for reports
with gathered as (
  select e.realm_id,
         e.day,
         e.strategy_id,
         e.strategy_version,
         (epoch_us(e.created_at) + 62135596800000000) // 3600000000 as hour_number,
         min(e.created_at)                                          as first_at,
         count(*)                                                   as logged_count
    from executions e
   where e.created_at is not null
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select g.realm_id,
       coalesce(d.family_name, g.strategy_id) as strategy,
       date_trunc('hour', min(g.first_at))    as hour,
       sum(g.logged_count)::bigint            as logged_count
  from gathered g
  left join definitions d
    on d.strategy_id = g.strategy_id and d.strategy_version = g.strategy_version
 group by g.realm_id, coalesce(d.family_name, g.strategy_id), g.hour_number
 order by g.realm_id nulls last, strategy, hour
