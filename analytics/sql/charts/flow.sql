-- The share of runs in each case of a version, each into itself, for charts.flow: the rehearsal follows runs from case to case.
-- Grain: case; ok runs.
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
-- $version integer: the version.
select coalesce(case_name, 'no case') as was, was as now,
       sum(sample_weight) / sum(sum(sample_weight)) over () as share
  from executions
 where status = 'ok' and ($family::varchar is null or family_name = $family::varchar) and strategy_version = $version::integer
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz))
 group by all
 order by share desc, was
