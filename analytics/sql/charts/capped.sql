-- Runs that a cap stopped, for charts.exceedance.
-- Grain: strategy. All failures are meant to be kept, so this counts runs.
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
select coalesce(family_name, strategy_id) as label, count(*) as count
  from executions
 where status = 'limit' and ($family::varchar is null or family_name = $family::varchar)
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz))
 group by all
 order by label
