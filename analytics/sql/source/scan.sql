-- What finding the rows of a span costs; only its plan is asked for. The condition is that of executions and fingerprints.
select id
  from strategyexecutionlog
 where (created_at >= %(since)s and created_at < %(until)s
        or %(undated)s and (created_at is null
                            or created_at < '0001-01-01 00:00:00+00'
                            or created_at >= '9999-12-31 00:00:00+00'))
   and (%(all_realms)s
        or "realmId" = any(%(realms)s) and "realmId" collate "C" = any(%(realms)s)
        or %(null_realm)s and "realmId" is null)
