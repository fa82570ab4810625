-- Parts of the log table (partitions, children) whose rows carry no xmin of this server: foreign tables, where it is always 0, and
-- tables of another access method, which may not have it at all.
with recursive tree (oid) as (
  select to_regclass('strategyexecutionlog')::oid
   union
  select i.inhrelid
    from tree
    join pg_inherits i on i.inhparent = tree.oid
)
select c.relname::text                                  as part,
       c.relkind = 'f'                                  as is_foreign
  from tree
  join pg_class c on c.oid = tree.oid
  left join pg_am a on a.oid = c.relam
 where c.relkind = 'f'
    or c.relkind in ('r', 'm') and a.amname <> 'heap'
 order by 1
