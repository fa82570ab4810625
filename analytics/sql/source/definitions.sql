-- Every version of every program. Small: one row per published or drafted version.
select id::text                                                           as strategy_id,
       "realmId"                                                          as realm_id,
       name,
       description,
       type                                                               as strategy_type,
       "parentStrategyId"                                                 as parent_strategy_id,
       "astJson"::text                                                    as ast_json,
       version                                                            as strategy_version,
       status,
       "createdBy"                                                        as created_by,
       case when isfinite("publishedAt") then "publishedAt"::text end     as published_at,
       case when isfinite(created_at) then created_at::text end           as created_at,
       case when isfinite(updated_at) then updated_at::text end           as updated_at,
       "experimentTag"                                                    as experiment_tag
  from strategydefinition
