-- One row per node of a program's AST, in walk order; of the programs that definitions shows.
create view definition_nodes as
select n.*
  from files.definition_nodes n
 where exists (select 1
                 from definitions d
                where d.strategy_id = n.strategy_id
                  and d.strategy_version = n.strategy_version
                  and d.realm_id is not distinct from n.realm_id);
comment on view definition_nodes is 'Programs flattened: one row per AST node in pre-order. Says what a trace does not: paths, operators, literals, order and nesting.';
comment on column definition_nodes.strategy_id is 'Id of the version.';
comment on column definition_nodes.strategy_version is 'Version within the family.';
comment on column definition_nodes.realm_id is 'Tenant; may be NULL.';
comment on column definition_nodes.family_name is 'Author''s name of the strategy.';
comment on column definition_nodes.position is 'Place in the pre-order walk, 0-based: tells nodes apart where ids repeat.';
comment on column definition_nodes.parent_position is 'Position of the parent; NULL at the top.';
comment on column definition_nodes.depth is 'Nesting, 1 for a rule.';
comment on column definition_nodes.section is 'rules, default, pre_rules or post_rules.';
comment on column definition_nodes.slot is 'Place within the parent: when, then[0], else_if[0].when, args[1], left, right, value …';
comment on column definition_nodes.rule_index is 'Index of the rule within its section; NULL outside rules.';
comment on column definition_nodes.node_id is 'Id as stored in the program; may be NULL or repeat.';
comment on column definition_nodes.type is 'Type of the node.';
comment on column definition_nodes.path is 'Field path of a field node.';
comment on column definition_nodes.operator is 'Operator of compare and arith, function of func_call.';
comment on column definition_nodes.literal is 'Value of a literal, as JSON text.';
comment on column definition_nodes.case_name is 'Case of assign_points and veto.';
comment on column definition_nodes.key is 'Key of set_data and set_callback_data.';
