-- Where people are in the lake, by tenant and day: rows of theirs, rows in which they are the one who called the engine, and rows
-- that may name them: a text, or a recorded value, contains the id. The table sought has the ids of each tenant.
with looked_at as (
  select e.realm_id, e.day, e.created_at,
         coalesce(list_contains(s.names, e.external_user_id), false) as is_theirs,
         coalesce(list_contains(s.names, e.oauth_user_id), false)    as is_caller,
         coalesce(len(list_filter(s.needles, lambda needle: contains(
           concat_ws(chr(10), e.external_game_id, e.external_task_id, e.error_code, e.case_name, e.notes, e.trace_irregular,
                     array_to_string(list_transform(e.trace, lambda entry: entry.value), chr(10))),
           needle))) > 0, false)                                     as is_naming
    from executions as e
    join sought as s
      on s.realm_id is not distinct from e.realm_id
)
select realm_id, day,
       count(*) filter (where is_theirs)                                         as theirs,
       count(*) filter (where is_caller and not is_theirs)                       as as_caller,
       count(*) filter (where is_naming and not is_theirs and not is_caller)     as naming,
       min(created_at) filter (where is_theirs or is_caller)                     as first_at,
       max(created_at) filter (where is_theirs or is_caller)                     as last_at
  from looked_at
 where is_theirs or is_caller or is_naming
 group by realm_id, day
 order by realm_id nulls last, day nulls last
