-- Points per run by hour and version, estimated from the sample.
-- Grain: hour (UTC), realm, strategy, version; ok runs with finite points only.
-- $since, $until timestamptz: half-open window of created_at.
-- $family varchar: only this strategy; NULL for all.
select date_trunc('hour', e.created_at)                                        as hour,
       e.realm_id,
       d.family_name,
       e.strategy_version,
       count(*)                                                                as logged_count,
       sum(e.sample_weight)                                                    as est_runs,
       sum(e.sample_weight * e.points) / sum(e.sample_weight)                  as est_points_mean
  from executions as e
  left join definitions as d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
 where e.status = 'ok'
   and isfinite(e.points)
   and ($since is null or e.day >= ($since::timestamptz)::date)
   and ($until is null or e.day <= ($until::timestamptz)::date)
   and ($since is null or e.created_at >= $since::timestamptz)
   and ($until is null or e.created_at <  $until::timestamptz)
   and ($family is null or d.family_name = $family)
 group by all
 order by hour, e.realm_id, d.family_name, e.strategy_version
