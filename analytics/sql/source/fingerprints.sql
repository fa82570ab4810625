-- What the source holds per realm and UTC day, without reading a trace.
-- Rows whose created_at is NULL, infinite or outside the years 1 to 9999 belong to no day: they come along in every window,
-- under day NULL, so that they cannot be lost between windows.
-- Tenants are told apart by their bytes, whatever the column's collation takes for equal; the first of the two conditions is for an
-- index, which has that collation.
-- id_hash is a sum, so it does not depend on order, and uses 60 bits of the id, so it never overflows on either side.
-- change_hash is made from xmin where the table has it: it moves with every update of a row, whatever column changed.
select "realmId" collate "C"                                                         as realm_id,
       case when created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00'
            then (created_at at time zone 'UTC')::date end                           as day,
       count(*)                                                                      as row_count,
       count(*) - count(id)                                                          as without_id,
       sum(('x' || encode(substr(uuid_send(id), 1, 8), 'hex'))::bit(60)::bigint)     as id_hash,
       sum(hashtextextended(id::text || coalesce({change}::text, ''), 0))            as change_hash,
       max(created_at at time zone 'UTC')
           filter (where created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00')
                                                                                     as max_created_at
  from strategyexecutionlog
 where (created_at >= %(since)s and created_at < %(until)s
        or created_at is null
        or created_at < '0001-01-01 00:00:00+00'
        or created_at >= '9999-12-31 00:00:00+00')
   and (%(all_realms)s
        or "realmId" = any(%(realms)s) and "realmId" collate "C" = any(%(realms)s)
        or %(null_realm)s and "realmId" is null)
 group by 1, 2
