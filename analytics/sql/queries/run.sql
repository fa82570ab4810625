-- One logged run by its id, without its trace.
-- Grain: the run.
-- $execution varchar: id of the run.
select * exclude (trace, trace_irregular)
  from executions
 where execution_id = $execution
