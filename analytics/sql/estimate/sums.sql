-- What somebody's own question needs of runs and points: counts, and sums of powers, of the rows of one weight.
-- Grain: group, side (the window, or what it is compared with), realm, outcome, weight. number tells groups apart.
-- Powers are of (points - middle) / unit, with a middle among the group's points: about zero, large points that differ little would have
-- lost the digits of their spread. The unit is 1, but for points of whose squares there are no numbers.
with paid as not materialized (
  select *, coalesce(status = 'ok' and isfinite(paid_points), false) as is_paid
    from asked_runs
), centre as (
  select grp,
         coalesce(avg(paid_points) filter (where abs(paid_points) < 1e60), 0) as middle,
         max(abs(paid_points))                                                as largest
    from paid
   where is_paid
   group by grp
), place as (
  select grp, middle, case when largest = 0 or (largest > 1e-60 and largest < 1e60) then 1 else largest end as unit
    from centre
), part as (
  select r.grp, r.side, r.realm_id,
         r.status = 'ok'                                                                as is_ok,
         r.status = 'ok' and r.sampled                                                  as is_drawn,
         r.sample_weight,
         count(*)                                                                       as logged_count,
         count(*) filter (where is_paid)                                                as paid_count,
         min(paid_points) filter (where is_paid)                                        as least,
         max(paid_points) filter (where is_paid)                                        as most,
         any_value(p.middle)                                                             as middle,
         any_value(p.unit)                                                              as unit,
         fsum(abs(paid_points) / p.unit) filter (where is_paid)                         as absolute,
         fsum(paid_points / p.unit - p.middle / p.unit) filter (where is_paid)           as power_1,
         fsum((paid_points / p.unit - p.middle / p.unit) ** 2) filter (where is_paid)    as power_2,
         fsum((paid_points / p.unit - p.middle / p.unit) ** 3) filter (where is_paid)    as power_3,
         fsum((paid_points / p.unit - p.middle / p.unit) ** 4) filter (where is_paid)    as power_4,
         min(last_key)                                                                  as last_key
    from paid r
    left join place p on p.grp is not distinct from r.grp
   group by all
)
select dense_rank() over (order by grp nulls last) as number, *
  from part
 order by number, side, realm_id nulls last, is_ok, is_drawn, sample_weight
