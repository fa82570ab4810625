-- Logged runs by their ids, with their traces.
-- Grain: the run.
-- $executions varchar[]: ids of the runs.
-- $moments timestamptz[]: when they ran, where that is known: few files are looked into then; NULL for every day.
-- for reports
select *, coalesce(notes, '') like 'trace truncated: %' as is_truncated
  from executions
 where execution_id in (select unnest($executions::varchar[]))
   and ($moments::timestamptz[] is null or created_at in (select unnest($moments::timestamptz[])))
 order by created_at, execution_id
