-- Versions of a strategy that the source has, with what they are there; what can be published first, then the newest.
-- Grain: the version.
-- $realm varchar: tenant; NULL is the NULL realm. $family varchar: name of the strategy.
select strategy_id, strategy_version, status
  from definitions
 where realm_id is not distinct from $realm
   and family_name = $family
   and not is_deleted
 order by status <> 'DRAFT', status <> 'PUBLISHED', strategy_version desc, strategy_id
