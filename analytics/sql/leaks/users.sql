-- The users of a window's runs, and who called the engine for them: ids that a report may not show unmasked.
select distinct unnest([external_user_id, oauth_user_id]) as user_id
  from executions
 where created_at >= $since and created_at < $until or created_at is null
