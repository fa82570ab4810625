-- Daily totals per realm, strategy and version, with the moments that estimates and their intervals are made of.
create view strategy_days as
with runs as (
  select realm_id,
         day,
         strategy_id,
         strategy_version,
         count(*)                                                    as logged_count,
         count(*) filter (where status = 'ok')                       as ok_logged_count,
         count(*) filter (where status <> 'ok')                      as failed_count,
         count(*) filter (where status = 'timeout')                  as timeout_count,
         count(*) filter (where status = 'limit')                    as limit_count,
         count(*) filter (where status = 'ok' and not coalesce(isfinite(points), false)) as points_set_aside_count,
         case when count(*) = count(sample_weight) then sum(sample_weight) end as est_runs,
         case when count(*) = count(sample_weight) then sum(sample_weight) filter (where status = 'ok' and isfinite(points)) end
           as est_runs_with_points,
         case when count(*) = count(sample_weight) then sum(sample_weight * points) filter (where status = 'ok' and isfinite(points)) end
           as est_points_sum,
         min(created_at)                                             as first_logged_at,
         max(created_at)                                             as last_logged_at
    from executions
   group by all
), entries as (
  -- The rollup knows how many there are; to measure the lists themselves means to read every trace.
  select realm_id, day, strategy_id, strategy_version, sum(entry_count)::bigint as trace_entries
    from node_days
   group by all
)
select r.realm_id,
       r.day,
       r.strategy_id,
       r.strategy_version,
       d.family_name,
       r.logged_count,
       r.ok_logged_count,
       r.failed_count,
       r.timeout_count,
       r.limit_count,
       r.points_set_aside_count,
       r.est_runs,
       r.est_runs_with_points,
       r.est_points_sum,
       coalesce(n.trace_entries, 0)                                  as trace_entries,
       r.first_logged_at,
       r.last_logged_at
  from runs r
  left join entries n
    on n.strategy_id = r.strategy_id and n.strategy_version = r.strategy_version
   and n.realm_id is not distinct from r.realm_id and n.day is not distinct from r.day
  left join definitions d
    on d.strategy_id = r.strategy_id and d.strategy_version = r.strategy_version;
comment on view strategy_days is 'Daily totals per realm, strategy and version. Columns named est_ estimate runs from the sample, without intervals (the query strategy_summary has them): see estimates.';
comment on column strategy_days.realm_id is 'Tenant; may be NULL.';
comment on column strategy_days.day is 'UTC date; NULL for runs without a usable created_at.';
comment on column strategy_days.strategy_id is 'Program that ran.';
comment on column strategy_days.strategy_version is 'Its version.';
comment on column strategy_days.family_name is 'Name of the strategy; NULL when its definition is not known.';
comment on column strategy_days.logged_count is 'Rows in the log: ok runs drawn by the sampler and all failures.';
comment on column strategy_days.ok_logged_count is 'Ok rows in the log.';
comment on column strategy_days.failed_count is 'Failures: every status but ok. All failures are meant to be kept, so this counts runs.';
comment on column strategy_days.timeout_count is 'Runs stopped by the time limit.';
comment on column strategy_days.limit_count is 'Runs stopped by the node or depth cap.';
comment on column strategy_days.points_set_aside_count is 'Ok rows whose points are NULL, NaN or infinite: left out of the points columns.';
comment on column strategy_days.est_runs is 'Estimated runs: sum of sample_weight; NULL where a row has none (a rate of 0).';
comment on column strategy_days.est_runs_with_points is 'Estimated ok runs with finite points.';
comment on column strategy_days.est_points_sum is 'Estimated points paid by them; NULL when there are none.';
comment on column strategy_days.trace_entries is 'Stored trace entries, as node_days has them.';
comment on column strategy_days.first_logged_at is 'First row in the log, UTC.';
comment on column strategy_days.last_logged_at is 'Last row in the log, UTC.';
