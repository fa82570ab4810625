-- Every run that the lake logged of people: as the one who scored, or the one who called the engine.
select e.*
  from executions as e
  join sought as s
    on s.realm_id is not distinct from e.realm_id
 where list_contains(s.names, e.external_user_id)
    or list_contains(s.names, e.oauth_user_id)
 order by e.realm_id nulls last, e.created_at, e.execution_id
