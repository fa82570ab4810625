-- Drafts of a strategy, the newest first. Grain: the version.
-- $realm varchar: tenant; NULL is the NULL realm. $family varchar: name of the strategy.
select strategy_id, strategy_version
  from definitions
 where realm_id is not distinct from $realm
   and family_name = $family
   and status = 'DRAFT'
   and not is_deleted
 order by coalesce(updated_at, created_at) desc nulls last, strategy_version desc, strategy_id
