-- The rows of node_days without the versions that too few people ran.
drop view if exists files.every_node_days;
alter view files.node_days rename to every_node_days;
create view files.node_days as
select e.*
  from files.every_node_days as e
 where not exists (select 1
                     from left_out_versions as s
                    where s.realm_id is not distinct from e.realm_id
                      and s.strategy_id is not distinct from e.strategy_id
                      and s.strategy_version is not distinct from e.strategy_version);
