-- Transactions that were prepared and wait for COMMIT PREPARED, without a session of their own; oldest first.
-- When such a transaction began is not kept by the server, only when it was prepared.
select p.gid,
       coalesce(p.owner::text, '(dropped)')                            as role,
       p.prepared at time zone 'UTC'                                  as began
  from pg_prepared_xacts p
 where p.database = current_database()
 order by p.prepared
