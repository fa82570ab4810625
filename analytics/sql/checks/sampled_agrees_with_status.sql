-- Sampled rows are ok and unsampled rows failed: anything else makes a weight doubtful.
-- severity: warning
select execution_id, status, sampled
  from executions
 where sampled is distinct from (status = 'ok')
