-- Who created a version, and when it was last published: a roll-back publishes the old row again and sets that time anew.
-- Grain: the version. Empty where definitions are not readable.
-- $strategy varchar: only the version of this id; NULL for all.
-- $version integer: only this number; NULL for all.
select strategy_id, strategy_version, realm_id, family_name, created_by, created_at, published_at, status
  from definitions
 where ($strategy::varchar is null or strategy_id = $strategy::varchar)
   and ($version::integer is null or strategy_version = $version::integer)
 order by strategy_id, strategy_version
