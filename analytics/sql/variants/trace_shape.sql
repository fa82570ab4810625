-- What decides which node of the program is behind which entry of a trace: ids, types, branches, the turns that values made
-- the run take (true or not, as Python sees a JSON value), and the literals, which tell an edited program. A hash of each entry,
-- for a list of records costs as much to make as the traces to read.
create or replace temp macro trace_shape(trace) as
  list_transform(trace, lambda entry: hash(
    entry.node_id,
    entry.type,
    entry.branch,
    case when entry.type = 'literal' then entry.value end,
    coalesce(entry.value_number = 0, entry.value is null or entry.value in ('null', 'false', '""', '[]', '{}'))))
