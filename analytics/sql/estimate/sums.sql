-- What somebody's own question needs of runs and points: counts, and sums of powers, of the rows of one weight.
-- Grain: group, side (the window, or what it is compared with), realm, outcome, weight. number tells groups apart.
with part as (
  select r.grp, r.side, r.realm_id,
         r.status = 'ok'                                                                as is_ok,
         r.status = 'ok' and r.sampled                                                  as is_drawn,
         r.sample_weight,
         count(*)                                                                       as logged_count,
         count(*) filter (where is_paid)                                                as paid_count,
         min(paid_points) filter (where is_paid)                                        as least,
         max(paid_points) filter (where is_paid)                                        as most,
         any_value(r.middle)                                                            as middle,
         any_value(r.unit)                                                              as unit,
         fsum(abs(paid_points) / r.unit) filter (where is_paid)                         as absolute,
         fsum(paid_points / r.unit - r.middle / r.unit) filter (where is_paid)          as power_1,
         fsum((paid_points / r.unit - r.middle / r.unit) ** 2) filter (where is_paid)   as power_2,
         fsum((paid_points / r.unit - r.middle / r.unit) ** 3) filter (where is_paid)   as power_3,
         fsum((paid_points / r.unit - r.middle / r.unit) ** 4) filter (where is_paid)   as power_4,
         min(last_key)                                                                  as last_key
    from placed_runs r
   group by all
)
select dense_rank() over (order by grp nulls last) as number, *
  from part
 order by number, side, realm_id nulls last, is_ok, is_drawn, sample_weight
