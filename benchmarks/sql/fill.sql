-- Rows first_row to last_row of a log, in order of created_at, spread evenly over the days. Everything follows from the row's
-- number by a hash, so the same parameters give the same table.
-- 3 %% carry the JSON value null in trace: 2.6 %% failures of three kinds, the rest wrapped built-ins without phases.
insert into strategyexecutionlog (
       id, created_at, updated_at, "apiKey_used", oauth_user_id, "strategyId", "strategyVersion", "strategyType", "realmId",
       "externalGameId", "externalTaskId", "externalUserId", status, "errorCode", points, "caseName", "durationMs",
       "nodesExecuted", trace, sampled, "parentStrategyId", notes)
select md5('row ' || n)::uuid,
       created_at,
       created_at,
       null,
       'auth0|client-' || realm,
       'strategy-' || realm || '-' || structure,
       version,
       case when structure %% 8 = 7 or is_empty then 'DSL_EXTEND' else 'DSL_FULL' end,
       'tenant-' || to_char(realm, 'FM0000'),
       'game-' || realm %% 10 || '-' || structure %% 5,
       'task-' || n %% 97,
       'user-' || realm || '-' || (u_user * 20000)::int,
       case when not is_failed then 'ok' when u_kind < 0.6 then 'error' when u_kind < 0.9 then 'timeout' else 'limit' end,
       case when not is_failed then null when u_kind < 0.6 then 'DSL_ARITH_DIV_BY_ZERO'
            when u_kind < 0.9 then 'DSL_TIMEOUT' else 'DSL_LIMIT_EXCEEDED' end,
       case when is_failed then null when is_empty then 5 else pool.points end,
       case when is_failed then null when is_empty then 'BasicEngagement' else pool.case_name end,
       (case when is_failed and u_kind >= 0.6 then 500 + 40 * u_time else 0.3 + 60 * u_time ^ 6 end)::numeric,
       case when is_failed or is_empty then 0 else coalesce(substring(pool.notes from '(\d+) ->')::int, pool.entries) end,
       case when is_failed or is_empty then 'null'::jsonb
            when %(distinct)s then regexp_replace(pool.trace::text, '("value": )(\d)', '\1' || 1 || n || '\2', 'g')::jsonb
            else pool.trace end,
       not is_failed,
       case when structure %% 8 = 7 or is_empty then 'default' end,
       case when is_failed or is_empty then null else pool.notes end
  from (select n,
               created_at,
               realm,
               -- every tenant has strategies of its own; programs repeat only where there are more tenants than programs
               (realm * %(strategies)s + strategy) %% %(structures)s            as structure,
               -- a new version goes live in the middle of the days, not for all strategies at once
               1 + (day >= %(days)s * 0.3 + (realm + strategy) %% (1 + %(days)s / 2))::int as version,
               (u_variant * %(variants)s)::int %% %(variants)s                  as variant,
               u_failed < 0.026                                                 as is_failed,
               u_failed between 0.026 and 0.03                                  as is_empty,
               u_user, u_kind, u_time
          from (select n,
                       %(since)s::timestamptz + interval '1 day' * %(days)s * (n::float8 / %(rows)s) as created_at,
                       (%(days)s * (n::float8 / %(rows)s))::int                                     as day,
                       -- a few tenants have most of the runs, unless all are to have the same
                       case when %(even)s then n %% %(realms)s else floor(%(realms)s * unit(n, 1) ^ 1.6) end::int as realm,
                       floor(%(strategies)s * unit(n, 2) ^ 1.5)::int                                as strategy,
                       unit(n, 3) as u_variant, unit(n, 4) as u_failed, unit(n, 5) as u_user,
                       unit(n, 6) as u_kind, unit(n, 7) as u_time
                  from generate_series(%(first_row)s::bigint, %(last_row)s::bigint) as n) as hashed) as drawn
       -- lateral, or the rows might come in the pool's order
       cross join lateral (select pool.trace, pool.entries, pool.points, pool.case_name, pool.notes
                             from bench_pool as pool
                            where pool.structure = drawn.structure and pool.version = drawn.version
                              and pool.variant = drawn.variant
                           offset 0) as pool
