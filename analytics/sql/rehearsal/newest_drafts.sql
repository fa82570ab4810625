-- The newest draft of each strategy that has one, of all tenants in sight. Grain: realm, strategy name.
select realm_id, family_name, ast_json, parent_strategy_id, strategy_type
  from definitions
 where status = 'DRAFT'
   and not is_deleted
   and family_name is not null
qualify row_number() over (
          partition by realm_id, family_name
          order by coalesce(updated_at, created_at) desc nulls last, strategy_version desc, strategy_id) = 1
 order by realm_id nulls last, family_name
