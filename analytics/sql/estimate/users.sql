-- How many people somebody's own question rests on: distinct logged users of each group and side; rows without one count as nobody.
-- The same numbers of groups as in sums.sql.
with counted as (
  select grp, side, count(distinct external_user_id) as users
    from asked_runs
   group by all
)
select dense_rank() over (order by grp nulls last) as number, users
  from counted
