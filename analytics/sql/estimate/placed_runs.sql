-- The rows that are asked about, with whether their points count, and the place and unit in which points are added up.
-- Grain: row of asked_runs. Powers are of (points - middle) / unit, with a middle among the group's points: about zero, large points that
-- differ little would have lost the digits of their spread. The unit is 1, but for points of whose squares there are no numbers.
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
)
select r.*, p.middle, p.unit
  from paid r
  left join place p on p.grp is not distinct from r.grp
