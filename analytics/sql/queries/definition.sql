-- The program of one version, as its author's JSON.
-- Grain: the version.
-- $strategy varchar, $version integer: the version.
select ast_json, family_name
  from definitions
 where strategy_id = $strategy
   and strategy_version = $version::integer
