-- One row per version of a program that was ever seen in strategydefinition; of a tenant that is alone in sight also those that its
-- runs had under this name of it, and that the source has under another one now.
create view definitions as
with lent as (
  select h.*, row_number() over (partition by strategy_id, strategy_version order by replaced_at desc, content_hash) as place
    from files.program_history h
   where h.reason <> 'edited'
     and not exists (select 1
                       from files.definitions d
                      where d.strategy_id = h.strategy_id and d.strategy_version = h.strategy_version)
)
select strategy_id, strategy_version, realm_id, name as family_name, status, published_at, is_deleted,
       description, strategy_type, parent_strategy_id, ast_json, created_by, created_at, updated_at, experiment_tag
  from files.definitions
union all
select strategy_id, strategy_version, realm_id, name as family_name, status, published_at, true as is_deleted,
       description, strategy_type, parent_strategy_id, ast_json, created_by, created_at, updated_at, experiment_tag
  from lent
 where place = 1;
comment on view definitions is 'Versions of programs. Every version is a row with an id of its own; what people call one strategy is the family (realm_id, family_name). Empty when the table is not readable.';
comment on column definitions.strategy_id is 'Id of this version; joins executions.strategy_id.';
comment on column definitions.strategy_version is 'Version within the family.';
comment on column definitions.realm_id is 'Tenant; may be NULL (join with IS NOT DISTINCT FROM).';
comment on column definitions.family_name is 'Author''s name of the strategy, shared by its versions; names repeat across realms.';
comment on column definitions.status is 'DRAFT, PUBLISHED or ARCHIVED at the time of extraction.';
comment on column definitions.published_at is 'Last publication, UTC; a rollback overwrites it, so when a version was live is known only from the log.';
comment on column definitions.is_deleted is 'True: the source no longer has this row, or has it under another realm; kept from an earlier extraction.';
comment on column definitions.description is 'Author''s words; may be NULL.';
comment on column definitions.strategy_type is 'DSL_FULL or DSL_EXTEND.';
comment on column definitions.parent_strategy_id is 'The built-in a DSL_EXTEND program wraps.';
comment on column definitions.ast_json is 'The program as JSON text; flattened in definition_nodes.';
comment on column definitions.created_by is 'Who created the version; may be NULL.';
comment on column definitions.created_at is 'UTC; may be NULL.';
comment on column definitions.updated_at is 'UTC; may be NULL.';
comment on column definitions.experiment_tag is 'Experiment the version belongs to; may be NULL.';
