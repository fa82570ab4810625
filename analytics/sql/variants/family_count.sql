-- How many logged runs of one strategy were drawn by the sampler in a window.
-- Grain: one row. Parameters as in family_rows.
select count(*) as logged_count
  from executions
 where realm_id is not distinct from $realm
   and list_contains($strategy_ids::varchar[], strategy_id)
   and day between ($since::timestamptz)::date and ($until::timestamptz)::date
   and created_at >= $since::timestamptz
   and created_at <  $until::timestamptz
   and status = 'ok'
   and sampled
