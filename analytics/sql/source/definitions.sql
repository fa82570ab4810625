-- Every version of every program. Small: one row per published or drafted version. What the table lacks, or the role may not read,
-- comes as NULL.
select {strategy_id}::text                                                as strategy_id,
       {realm_id}                                                         as realm_id,
       {name}                                                             as name,
       {description}                                                      as description,
       {strategy_type}                                                    as strategy_type,
       {parent_strategy_id}                                               as parent_strategy_id,
       {ast_json}::text                                                   as ast_json,
       {strategy_version}                                                 as strategy_version,
       {status}                                                           as status,
       {created_by}                                                       as created_by,
       case when isfinite({published_at}) then {published_at}::text end   as published_at,
       case when isfinite({created_at}) then {created_at}::text end       as created_at,
       case when isfinite({updated_at}) then {updated_at}::text end       as updated_at,
       {experiment_tag}                                                   as experiment_tag
  from strategydefinition
