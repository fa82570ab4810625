-- Every failure with its time and its kind, for charts.failure_strip.
-- Grain: logged failure.
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
select created_at, coalesce(family_name, strategy_id) as label,
       case when status in ('limit', 'timeout') then status else 'error' end as lane
  from executions
 where status <> 'ok' and created_at is not null and ($family::varchar is null or family_name = $family::varchar)
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz))
 order by created_at, execution_id
