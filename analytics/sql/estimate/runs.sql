-- The logged runs of somebody's own question, with the name of their family beside the columns of the view executions.
-- Read as a relation, to which asked_runs.py adds the window, the condition and the groups.
select e.*, d.family_name
  from executions e
  left join (select strategy_id, strategy_version, min(family_name) as family_name from definitions group by all) d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
