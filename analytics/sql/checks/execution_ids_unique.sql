-- Every execution is in the lake once.
-- severity: error
select execution_id, count(*) as times
  from executions
 group by execution_id
having count(*) > 1
