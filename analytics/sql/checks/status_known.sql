-- Every status is one this package knows; others are counted as failures.
-- severity: warning
select status, count(*) as logged_count
  from executions
 where status not in ('ok', 'error', 'timeout', 'limit')
 group by status
