-- Names that other tenants than those of a report have given to their strategies.
select distinct family_name
  from definitions
 where family_name is not null
   and not coalesce(list_contains($own::varchar[], realm_id), $null_is_own)
