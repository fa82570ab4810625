-- The shares of runs per case, of a version and the one before it in the log, for charts.cases.
-- Grain: case, version; ok runs.
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
-- $version integer: the version; NULL for the newest of the log.
select case_name, 'v' || strategy_version as label, if(newest, 'finding', 'before') as role, points_mean,
       est_runs / sum(est_runs) over (partition by strategy_version) as share
  from (select case_name, strategy_version, sum(sample_weight) as est_runs,
               avg(points) filter (where isfinite(points)) as points_mean,
               dense_rank() over (order by strategy_version desc) as place,
               place = 1 as newest
          from executions
         where status = 'ok' and ($family::varchar is null or family_name = $family::varchar) and ($version::integer is null or strategy_version <= $version::integer)
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz))
         group by case_name, strategy_version)
 where place <= 2
 order by strategy_version, share desc, case_name
