-- The rows of a span of days in PostgreSQL's binary format: nothing is escaped, nothing is spelled and read again, and NULL, an
-- empty string and any byte of an author's text stay what they are. native/copy_tuples.py reads the fields in this order.
--
-- Numbers are cast here, because clients disagree: numeric holds NaN, infinities, and values beyond a double, for which the
-- cast itself would fail and take the whole stream with it. Timestamps are guarded for the same reason. What does not fit is
-- kept as text (created_at_irregular) or becomes the infinity or zero it rounds to: the bounds are half a step beyond the
-- largest double and half the smallest.
copy (
  select id,
         case when created_at >= '0001-01-01 00:00:00+00' and created_at < '9999-12-31 00:00:00+00' then created_at end,
         case when updated_at >= '0001-01-01 00:00:00+00' and updated_at < '9999-12-31 00:00:00+00' then updated_at end,
         case when points::numeric = 'NaN' then 'NaN'::float8
              when points::numeric >  1.79769313486231580793e308 then 'Infinity'::float8
              when points::numeric < -1.79769313486231580793e308 then '-Infinity'::float8
              when abs(points::numeric) < 2.4703282292062328e-324 then 0
              else points::float8 end,
         case when "durationMs"::numeric = 'NaN' then 'NaN'::float8
              when "durationMs"::numeric >  1.79769313486231580793e308 then 'Infinity'::float8
              when "durationMs"::numeric < -1.79769313486231580793e308 then '-Infinity'::float8
              when abs("durationMs"::numeric) < 2.4703282292062328e-324 then 0
              else "durationMs"::float8 end,
         "strategyVersion"::int4,
         "nodesExecuted"::int4,
         sampled,
         "strategyId",
         "realmId",
         case when created_at < '0001-01-01 00:00:00+00' or created_at >= '9999-12-31 00:00:00+00'
              then created_at::text end,
         oauth_user_id,
         "strategyType",
         "externalGameId",
         "externalTaskId",
         "externalUserId",
         status,
         "errorCode",
         "caseName",
         "parentStrategyId",
         notes,
         trace
    from strategyexecutionlog
   where (created_at >= %(since)s and created_at < %(until)s
          or %(undated)s and (created_at is null
                              or created_at < '0001-01-01 00:00:00+00'
                              or created_at >= '9999-12-31 00:00:00+00'))
     and (%(all_realms)s
          or "realmId" = any(%(realms)s) and "realmId" collate "C" = any(%(realms)s)
          or %(null_realm)s and "realmId" is null)
) to stdout (format binary)
