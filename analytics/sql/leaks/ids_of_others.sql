-- Which of these ids belong to strategies or runs of tenants that a report is not about.
with found as (select unnest($found::varchar[]) as id),
others as (
  select 'strategy' as kind, strategy_id as id, realm_id
    from definitions
  union all
  select unnest(['strategy', 'run']), unnest([strategy_id, execution_id]), realm_id
    from executions
   where created_at >= $since and created_at < $until or created_at is null
)
select id, min(kind) as kind
  from others
  semi join found using (id)
 group by id
-- an id that several tenants use is also the report's own
having not bool_or(coalesce(list_contains($own::varchar[], realm_id), $null_is_own))
