-- The view executions with the weights of drawn rows corrected by the engine's counters, in the hours they know.
create or replace view executions as
select e.day,
       e.* exclude (day, realm, sample_weight),
       case when e.status <> 'ok' or not e.sampled then e.sample_weight
            when w.factor is not null and e.sample_weight is not null then greatest(e.sample_weight * w.factor, 1)
            else coalesce(e.sample_weight, w.instead) end as sample_weight,
       d.family_name
  from files.executions e
  left join counted_weights w
    on w.realm_id is not distinct from e.realm_id and w.hour = date_trunc('hour', e.created_at)
  left join (select strategy_id, strategy_version, min(family_name) as family_name from definitions group by all) d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version;
