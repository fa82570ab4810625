-- Strategies that were logged in a window: their names, or the id where no definition tells one.
-- Grain: realm, strategy name (or id).
-- $since, $until timestamptz: half-open window of created_at.
-- column family_name: Name of the strategy; NULL where no definition tells it.
-- column strategy_id: Id of one of its versions, where there is no name.
-- column logged_count: Rows in the log.
-- for reports
with gathered as (
  select e.realm_id, e.day, e.strategy_id, e.strategy_version, count(*) as logged_count
    from executions e
   where ($since::timestamptz is null or (e.day >= $since::timestamptz::date and e.created_at >= $since::timestamptz))
     and ($until::timestamptz is null or (e.day <= ($until::timestamptz - interval 1 microsecond)::date and e.created_at < $until::timestamptz))
   group by all
)
select r.realm_id,
       d.family_name,
       case when d.family_name is null then r.strategy_id end as strategy_id,
       sum(r.logged_count)::bigint                            as logged_count
  from gathered r
  left join definitions d
    on d.strategy_id = r.strategy_id and d.strategy_version = r.strategy_version
 group by all
 order by r.realm_id nulls last, d.family_name nulls last, 3
