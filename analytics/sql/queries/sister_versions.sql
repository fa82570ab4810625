-- Versions of the strategy that one version belongs to, as far as the lake holds their programs.
-- Grain: the version.
-- $strategy varchar, $version integer: the version whose sisters are asked for.
-- for reports
select distinct other.strategy_id, other.strategy_version, other.strategy_id = own.strategy_id as is_same_id
  from definitions as own
  join definitions as other
    on other.strategy_id = own.strategy_id
    or (other.family_name = own.family_name and other.realm_id is not distinct from own.realm_id)
 where own.strategy_id = $strategy
   and own.strategy_version = $version::integer
   and other.ast_json is not null
 order by other.strategy_version, is_same_id desc, other.strategy_id
