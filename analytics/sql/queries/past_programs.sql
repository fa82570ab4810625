-- Programs that one version had before it was edited in place, the latest first.
-- Grain: content of the version.
-- $strategy varchar, $version integer: the version.
-- column family_name: Name that the version had then.
-- column ast_json: The program then, as JSON text.
-- column strategy_type: DSL_FULL or DSL_EXTEND, as it was then.
-- column parent_strategy_id: The built-in it wrapped then.
-- for reports
select ast_json, name as family_name, parent_strategy_id, strategy_type, replaced_at, content_hash
  from files.program_history
 where strategy_id = $strategy
   and strategy_version = $version::integer
 order by replaced_at desc, content_hash, reason
