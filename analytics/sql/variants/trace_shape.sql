-- What decides which node of the program is behind which entry of a trace: ids, types, branches, the turns that values made
-- the run take (true or not, as Python sees a JSON value), and the literals, which tell an edited program.
create or replace temp macro trace_shape(trace) as
  list_transform(trace, lambda entry: {
    'node_id': entry.node_id,
    'type':    entry.type,
    'branch':  entry.branch,
    'turn':    case when entry.type = 'literal' then entry.value
                    when entry.value is null or entry.value in ('null', 'false', '""', '[]', '{}') or entry.value_number = 0
                    then 'false' else 'true' end})
