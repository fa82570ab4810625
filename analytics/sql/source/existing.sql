-- Which of these ids does the source still hold? Those moved to another realm or day; the others were deleted.
select id::text as execution_id
  from strategyexecutionlog
 where id = any(%(ids)s::uuid[])
