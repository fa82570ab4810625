-- The trace of one run, entry by entry.
-- Grain: trace entry, in evaluation order.
-- $execution varchar: id of the run.
select seq, node_id, type, branch, value, value_number, value_boolean, value_text
  from nodes
 where execution_id = $execution
 order by seq
