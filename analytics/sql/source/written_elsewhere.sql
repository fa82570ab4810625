-- Who writes the log table, its parts, or what a view of it reads, from another server: subscriptions of logical replication, and
-- foreign servers. Their writers' open transactions are not seen here, and how far a subscription is behind its publisher no
-- catalog tells: the time that it shows is of messages that may overtake rows. One row per writer; none: it is written here.
with recursive tree (oid) as (
  select to_regclass('strategyexecutionlog')::oid
   union
  select o.oid
    from tree
   cross join lateral (
           select i.inhrelid from pg_inherits i where i.inhparent = tree.oid
            union all
           select d.refobjid
             from pg_rewrite r
             join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
                             and d.refclassid = 'pg_class'::regclass and d.refobjid <> tree.oid
            where r.ev_class = tree.oid
         ) as o (oid)
)
select 'subscription'                                                 as kind,
       s.subname::text                                                as name,
       bool_or(s.pid is not null)                                     as is_running
  from pg_subscription_rel r
  join tree on tree.oid = r.srrelid
  join pg_stat_subscription s on s.subid = r.srsubid
 group by s.subname
 union all
select distinct 'foreign server', s.srvname::text, true
  from pg_foreign_table f
  join tree on tree.oid = f.ftrelid
  join pg_foreign_server s on s.oid = f.ftserver
 order by 1, 2
