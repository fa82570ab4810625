-- The traces of one version's logged runs: those that a typed list can give back.
-- Grain: logged run with a trace, in no order. $strategy varchar, $version integer: the version. $first, $last date: days.
select execution_id, trace
  from executions
 where strategy_id = $strategy
   and strategy_version = $version::integer
   and day between $first::date and $last::date
   and trace is not null
   and trace_irregular is null
