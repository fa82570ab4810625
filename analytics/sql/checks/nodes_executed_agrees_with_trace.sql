-- Ok runs executed as many nodes as their trace has entries, or more where the notes say it was cut.
-- severity: warning
select execution_id, nodes_executed, len(trace) as entries, notes
  from executions
 where status = 'ok'
   and trace is not null
   and nodes_executed <> len(trace)
   and not (nodes_executed > len(trace) and coalesce(notes, '') like 'trace truncated: %')
