-- The same runs as family_rows, with what a sum of points needs and no more: texts that are of one run alone cost the most.
-- Grain: one row per logged run, those of a version in the order of their time, then of their id. Parameters as in family_rows.
select created_at, strategy_id, strategy_version, status, error_code, points, nodes_executed, sampled,
       case when status = 'ok' and sampled then sample_weight / $part::double else sample_weight end as sample_weight,
       external_user_id
  from executions
 where realm_id is not distinct from $realm
   and list_contains($strategy_ids::varchar[], strategy_id)
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and (status <> 'ok' or not sampled or hash(execution_id) % 1000000 < 1000000 * $part::double)
