-- Logged rows per minute, of all strategies in sight together: where none came, the log may have lost some.
-- Grain: UTC minute of created_at with a logged row; runs without a time are not here. Counts are of the log, not of runs.
-- Runs are grouped by the number of their minute since the year 1: the calendar of date_trunc costs more than all the rest, asked run by run.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column logged_count: Rows of the minute in the log.
-- column first_at: When the first of them ended, UTC.
-- column last_at: When the last of them ended, UTC.
-- for reports
with gathered as (
  select (epoch_us(e.created_at) + 62135596800000000) // 60000000 as minute_number,
         e.realm_id,
         e.day,
         count(*)                                                     as logged_count,
         min(e.created_at)                                            as first_at,
         max(e.created_at)                                            as last_at
    from executions e
   where e.created_at is not null
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select date_trunc('minute', min(first_at)) as minute,
       sum(logged_count)::bigint           as logged_count,
       min(first_at)                       as first_at,
       max(last_at)                        as last_at
  from gathered
 group by minute_number
 order by minute
