-- The program of one version, node by node in walk order.
-- Grain: node of the AST.
-- $strategy varchar, $version integer: the version.
select position, parent_position, depth, section, slot, rule_index, node_id, type, path, operator, literal, case_name, key
  from definition_nodes
 where strategy_id = $strategy
   and strategy_version = $version::integer
 order by position
