-- Which analytics fields each version of a program reads: every distinct one costs a database query per run.
-- Grain: strategy_id, version, field path. Empty when definitions are not readable.
-- column places_count: Places of the program that read the field.
-- column path: The field: user.…, task.… or all.…
select strategy_id,
       min(realm_id)    as realm_id,
       min(family_name) as family_name,
       strategy_version,
       path,
       count(*)               as places_count
  from definition_nodes
 where starts_with(path, 'user.') or starts_with(path, 'task.') or starts_with(path, 'all.')
 group by strategy_id, strategy_version, path
 order by family_name, strategy_version, path
