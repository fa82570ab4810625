-- The rows of executions without the versions that too few people ran.
drop view if exists files.every_executions;
alter view files.executions rename to every_executions;
create view files.executions as
select e.*
  from files.every_executions as e
 where not exists (select 1
                     from left_out_versions as s
                    where s.realm_id is not distinct from e.realm_id
                      and s.strategy_id is not distinct from e.strategy_id
                      and s.strategy_version is not distinct from e.strategy_version);
