-- Milliseconds of the logged runs that say something about them, whatever their nodes.
-- Grain: realm, strategy, version, status (ok, limit or timeout), duration_ms, sample_weight; logged_count rows share them.
-- duration_ms is NULL where the log's value cannot be one (NaN, infinite, negative).
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- $digits integer: significant digits to which duration_ms is rounded, so that millions of runs make few rows; NULL to leave it.
-- column duration_ms: Wall clock, as the question's digits round it; NULL where the log's value cannot be one.
-- column logged_count: Logged runs that share all the columns before.
-- for reports
with gathered as (
  select e.realm_id,
         e.day,
         e.strategy_id,
         e.strategy_version,
         e.status,
         case when not (isfinite(e.duration_ms) and e.duration_ms >= 0) then null
              when $digits::integer is null or e.duration_ms = 0 then e.duration_ms
              else round(e.duration_ms, $digits::integer - 1 - floor(log10(e.duration_ms))::integer) end as duration_ms,
         e.sample_weight,
         count(*) as logged_count
    from executions e
   where e.status in ('ok', 'limit', 'timeout')
     and ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select g.realm_id,
       coalesce(d.family_name, g.strategy_id) as strategy,
       g.strategy_version,
       g.status,
       g.duration_ms,
       g.sample_weight,
       sum(g.logged_count)::bigint            as logged_count
  from gathered g
  left join definitions d
    on d.strategy_id = g.strategy_id and d.strategy_version = g.strategy_version
 group by all
 order by all
