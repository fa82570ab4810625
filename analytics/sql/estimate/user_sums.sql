-- What somebody's own question needs of users where it compares: how unlike their runs are, however alike those of one user.
-- Grain: group, side, measure (points, or failures); the same numbers of groups as in sums.sql. A user's part is the weighted sum of
-- what is measured, points as (points - middle) / unit; rows without a user are each a user of their own.
with measured as not materialized (
  select r.grp, r.side, r.external_user_id, 'points' as measure, r.unit,
         r.sample_weight * (r.paid_points / r.unit - r.middle / r.unit) as part,
         r.sample_weight                                                as runs
    from placed_runs r
   where r.is_paid and r.sample_weight >= 1
  union all
  -- every group has such rows, also one of rows without a weight
  select grp, side, external_user_id, 'failures', 1,
         case when status = 'ok' then 0 else 1 end * coalesce(sample_weight, 0),
         coalesce(sample_weight, 0)
    from asked_runs
), person as (
  select grp, side, measure, any_value(unit) as unit, sum(part) as part, sum(runs) as runs
    from measured
   where external_user_id is not null
   group by grp, side, measure, external_user_id
  union all
  select grp, side, measure, unit, part, runs
    from measured
   where external_user_id is null
), told as (
  -- what a user leaves to the others; of one who has all there is nothing to tell
  select *, greatest(1 - runs / nullif(sum(runs) over (partition by grp, side, measure), 0), 1e-9) as rest
    from person
), summed as (
  select grp, side, measure,
         count(*) filter (where runs > 0) as users,
         any_value(unit)                  as unit,
         fsum(part)                       as parts,
         fsum(runs)                       as runs,
         fsum(part * part / rest)         as part_squares,
         fsum(part * runs / rest)         as products,
         fsum(runs * runs / rest)         as freed_run_squares,
         fsum(runs * runs)                as run_squares
    from told
   group by grp, side, measure
)
select dense_rank() over (order by grp nulls last) as number, * exclude grp
  from summed
