-- Those of these tenants that have a row, of whatever time; found through the index on "realmId".
select realm_id
  from unnest(%(realms)s::text[]) as wanted(realm_id)
 where exists (select from strategyexecutionlog where "realmId" = wanted.realm_id)
