-- Logged runs whose id begins with some letters, oldest first.
-- Grain: the run.
-- $prefix varchar: the first letters of the id, or all of it.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
select execution_id, created_at, realm_id, strategy_id, strategy_version, status, points
  from executions
 where starts_with(execution_id, $prefix::varchar)
   and ($since::timestamptz is null or day >= $since::timestamptz::date)
   and ($until::timestamptz is null or day <= $until::timestamptz::date)
   and ($since::timestamptz is null or created_at >= $since::timestamptz)
   and ($until::timestamptz is null or created_at < $until::timestamptz)
 order by created_at, execution_id
 limit 20
