-- Ids that stand several times in a window, a few of them, and how many there are. No row: none.
select id::text                                                       as execution_id,
       count(*) over ()                                               as ids
  from strategyexecutionlog
 where (created_at >= %(since)s and created_at < %(until)s
        or created_at is null
        or created_at < '0001-01-01 00:00:00+00'
        or created_at >= '9999-12-31 00:00:00+00')
   and (%(all_realms)s
        or "realmId" = any(%(realms)s) and "realmId" collate "C" = any(%(realms)s)
        or %(null_realm)s and "realmId" is null)
 group by id
having count(*) > 1
 order by id
 limit 3
