-- Points a day if all points were multiplied by a factor, for charts.sweep; analytics.sweep tries a program instead.
-- Grain: factor. Estimated: the sum of weight times points of ok runs.
-- $family varchar: only this strategy; NULL for all.
-- $since, $until timestamptz: only runs in [since, until); NULL means open.
select unnest([0.5, 1, 1.5, 2]) as value, value * paid_per_day as points_per_day, paid_per_day
  from (select sum(sample_weight * points) / count(distinct day) as paid_per_day
          from executions
         where status = 'ok' and isfinite(points) and ($family::varchar is null or family_name = $family::varchar)
   and ($since::timestamptz is null or (day >= $since::timestamptz::date and created_at >= $since::timestamptz))
   and ($until::timestamptz is null or (day <= ($until::timestamptz - interval 1 microsecond)::date and created_at < $until::timestamptz)))
