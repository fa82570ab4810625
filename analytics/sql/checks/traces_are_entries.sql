-- Every trace is a list of entries with textual ids and types; others are kept verbatim besides.
-- severity: warning
select execution_id, left(trace_irregular, 200) as trace
  from executions
 where trace_irregular <> 'null'
