-- Which of these ids are users of the runs in sight, or called the engine for them.
with found as (select unnest($found::varchar[]) as user_id)
select distinct user_id
  from (
    select unnest([external_user_id, oauth_user_id]) as user_id
      from executions
     where created_at >= $since and created_at < $until or created_at is null
  )
  semi join found using (user_id)
