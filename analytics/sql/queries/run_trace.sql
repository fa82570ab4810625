-- Logged runs by their ids, with their traces.
-- Grain: the run.
-- $executions varchar[]: ids of the runs.
select *, coalesce(notes, '') like 'trace truncated: %' as is_truncated
  from executions
 where list_contains($executions::varchar[], execution_id)
 order by created_at, execution_id
