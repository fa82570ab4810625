-- The view executions with the weights of drawn rows corrected by the engine's counters, in the hours they know.
create or replace view executions as
select e.day,
       e.* exclude (day, realm, sample_weight),
       case when e.status <> 'ok' or not e.sampled then e.sample_weight
            when w.factor is not null and e.sample_weight is not null then greatest(e.sample_weight * w.factor, 1)
            else coalesce(e.sample_weight, w.instead) end as sample_weight
  from files.executions e
  left join counted_weights w
    on w.realm_id is not distinct from e.realm_id and w.hour = date_trunc('hour', e.created_at);
