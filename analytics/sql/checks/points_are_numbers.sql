-- Ok runs have points that can be added up; NULL, NaN and infinite ones are set aside everywhere.
-- severity: warning
select execution_id, points
  from executions
 where status = 'ok' and not coalesce(isfinite(points), false)
