-- The table of earlier programs in a lake that has none: its columns (program_history_schema), and no row.
create or replace view files.program_history as
select null::varchar as strategy_id,
       null::varchar as realm_id,
       null::varchar as name,
       null::varchar as description,
       null::varchar as strategy_type,
       null::varchar as parent_strategy_id,
       null::varchar as ast_json,
       null::integer as strategy_version,
       null::varchar as status,
       null::varchar as created_by,
       null::timestamptz as published_at,
       null::timestamptz as created_at,
       null::timestamptz as updated_at,
       null::varchar as experiment_tag,
       null::boolean as is_deleted,
       null::varchar as reason,
       null::timestamptz as replaced_at,
       null::varchar as content_hash
 where false;
