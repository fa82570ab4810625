-- The program of one version, as its author's JSON, and the built-in it wraps.
-- Grain: the version.
-- $strategy varchar, $version integer: the version.
select ast_json, family_name, parent_strategy_id, strategy_type
  from definitions
 where strategy_id = $strategy
   and strategy_version = $version::integer
