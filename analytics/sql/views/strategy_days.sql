-- Daily totals per realm, strategy and version, with the moments that estimates and their intervals are made of.
create view strategy_days as
select e.realm_id,
       e.day,
       e.strategy_id,
       e.strategy_version,
       d.family_name,
       count(*)                                                      as logged_count,
       count(*) filter (where e.status = 'ok')                       as ok_logged_count,
       count(*) filter (where e.status <> 'ok')                      as failed_count,
       count(*) filter (where e.status = 'timeout')                  as timeout_count,
       count(*) filter (where e.status = 'limit')                    as limit_count,
       count(*) filter (where e.status = 'ok' and not coalesce(isfinite(e.points), false)) as points_set_aside_count,
       case when count(*) = count(e.sample_weight) then sum(e.sample_weight) end as est_runs,
       case when count(*) = count(e.sample_weight) then sum(e.sample_weight) filter (where e.status = 'ok' and isfinite(e.points)) end
         as est_runs_with_points,
       case when count(*) = count(e.sample_weight) then sum(e.sample_weight * e.points) filter (where e.status = 'ok' and isfinite(e.points)) end
         as est_points_sum,
       sum(len(e.trace))                                             as trace_entries,
       min(e.created_at)                                             as first_logged_at,
       max(e.created_at)                                             as last_logged_at
  from executions e
  left join definitions d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
 group by all;
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
comment on column strategy_days.trace_entries is 'Stored trace entries.';
comment on column strategy_days.first_logged_at is 'First row in the log, UTC.';
comment on column strategy_days.last_logged_at is 'Last row in the log, UTC.';
