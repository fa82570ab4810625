-- What the role could do besides reading. One row.
select r.rolsuper                                                            as is_superuser,
       array_remove(array[case when r.rolcreaterole then 'create roles' end,
                          case when r.rolcreatedb then 'create databases' end,
                          case when r.rolreplication then 'replicate' end,
                          -- where a table has row security, a reader of all of it has to
                          case when r.rolbypassrls and not exists (
                                      select from pg_class c
                                       where c.oid in (to_regclass('strategyexecutionlog'), to_regclass('strategydefinition'))
                                         and (c.relrowsecurity or c.relkind = 'v'))
                               then 'bypass row security' end], null)
                                                                             as more_rights,
       -- any of them is enough for true; of a table that is not there: NULL
       coalesce(has_table_privilege(to_regclass('strategyexecutionlog'), 'INSERT, UPDATE, DELETE, TRUNCATE'), false)
         or coalesce(has_table_privilege(to_regclass('strategydefinition'), 'INSERT, UPDATE, DELETE, TRUNCATE'), false)
                                                                             as can_write
  from pg_roles r
 where r.rolname = current_user
