-- Every row lies in the folder of its own realm and day.
-- severity: error
select execution_id, realm_id, realm as folder_realm, day as folder_day, created_at
  from files.executions
 where (created_at at time zone 'UTC')::date is distinct from day
    -- shortened folder names (with ~) stand for a realm by a hash
    or (realm is distinct from realm_id and not contains(coalesce(realm, ''), '~'))
