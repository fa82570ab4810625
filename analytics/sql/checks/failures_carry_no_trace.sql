-- Failed runs carry no trace and no points, as the engine writes them; others are read as they are.
-- severity: warning
select execution_id, status, points, len(trace) as entries
  from executions
 where status <> 'ok' and (points is not null or trace is not null)
