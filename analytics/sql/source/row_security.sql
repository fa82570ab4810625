-- What stands between the role and rows of a table. One row where there is such a table.
-- Of the policies for everybody, or for a role whose rights we have, one permissive and every restrictive one must hold.
with applied as (
  select p.polpermissive                                              as is_permissive,
         coalesce(pg_get_expr(p.polqual, p.polrelid) = 'true', false) as is_open
    from pg_policy p
   where p.polrelid = to_regclass(%(table)s)
     and p.polcmd in ('r', '*')
     and exists (select from unnest(p.polroles) as r (oid) where r.oid = 0 or pg_has_role(r.oid, 'usage'))
)
select row_security_active(c.oid)                                     as is_active,
       exists (select from applied where is_permissive and is_open)
         and not exists (select from applied where not is_permissive and not is_open)
                                                                      as is_open,
       -- a view reads with its owner's rights, unless it is said otherwise, and so by the policies for that one
       case when c.relkind = 'v'
             and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
            then pg_get_userbyid(c.relowner)::text
            else current_user::text end                               as reads_as
  from pg_class c
 where c.oid = to_regclass(%(table)s)
