-- The traces of chosen runs of one strategy.
-- Grain: run with a trace, in no order. Reads the relation chosen_runs: execution_id.
-- $strategy varchar: their program. $first, $last date: their days.
select execution_id, trace
  from executions
 where strategy_id = $strategy
   and day between $first::date and $last::date
   and trace is not null
   and execution_id in (select execution_id from chosen_runs)
