-- What DuckDB tells of sampled runs: whether the trace was cut, and the name of its way through the program.
-- Grain: logged ok run with entries, in no order. Reads the relation profile_runs: execution_id, nodes_executed, trace.
select execution_id,
       nodes_executed > len(trace)                    as is_cut,
       run_shape(trace, nodes_executed <= len(trace)) as variant
  from profile_runs
