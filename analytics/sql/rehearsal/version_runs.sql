-- When each version of a strategy ran, as far as the log tells. Grain: the version that has a logged run, the first to begin on top.
-- $realm varchar: tenant; NULL is the NULL realm. $strategy_ids varchar[]: ids of the strategy's versions.
select strategy_id, strategy_version, min(created_at) as first_at, max(created_at) as last_at, count(*) as logged_count
  from executions
 where realm_id is not distinct from $realm
   and list_contains($strategy_ids::varchar[], strategy_id)
   and created_at is not null
 group by strategy_id, strategy_version
 order by first_at, strategy_version, strategy_id
