-- Every row has a created_at within the years 1 to 9999; others are in no window.
-- severity: warning
select execution_id, realm_id, created_at_irregular
  from executions
 where day is null
