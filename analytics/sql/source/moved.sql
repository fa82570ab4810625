-- Is a table still what it was when the snapshot was taken? One that was truncated, rewritten or exchanged since looks empty to the
-- snapshot, or as it never was. The catalogs are seen as of the snapshot, the functions tell what is there now; asked when the
-- table is locked. Parts and what a view reads count too. One row per thing that is another; none: it stands as it did.
with recursive parts (oid) as (
  select to_regclass(%(table)s)::oid
   union
  select o.oid
    from parts
   cross join lateral (
           select i.inhrelid from pg_inherits i where i.inhparent = parts.oid
            union all
           select d.refobjid
             from pg_rewrite r
             join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                             and d.refclassid = 'pg_class'::regclass and d.refobjid <> parts.oid
            where r.ev_class = parts.oid
         ) as o (oid)
),
now_attached as (
  select t.relid::oid as oid, t.parentrelid::oid as parent
    from pg_partition_tree(to_regclass(%(table)s)) t
   where t.parentrelid is not null
),
then_attached as (
  select i.inhrelid, i.inhparent
    from pg_inherits i
    join pg_class c on c.oid = i.inhparent and c.relkind = 'p'
    join parts on parts.oid = i.inhparent
)
select parts.oid::text                                                as what
  from parts
  left join pg_class c on c.oid = parts.oid
 where parts.oid is not null
   and (c.oid is null
        or pg_relation_filenode(c.oid) is distinct from nullif(c.relfilenode, 0))
union all
select 'an attached or detached part'
 where (select c.relkind from pg_class c where c.oid = to_regclass(%(table)s)) = 'p'
   and (exists (select oid, parent from now_attached except select inhrelid, inhparent from then_attached)
        or exists (select inhrelid, inhparent from then_attached except select oid, parent from now_attached))
union all
-- renamed since, the table, its schema or a column
select a.attname::text
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.oid = to_regclass(%(table)s)
   and (pg_identify_object('pg_class'::regclass, a.attrelid, a.attnum)).identity
         is distinct from format('%%I.%%I.%%I', n.nspname, c.relname, a.attname)
