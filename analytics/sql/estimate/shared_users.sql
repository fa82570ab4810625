-- How many users have logged rows on both sides of a comparison, and how many have any.
with sides as (
  select external_user_id, count(distinct side) as sides
    from asked_runs
   where external_user_id is not null
   group by all
)
select count(*) filter (where sides = 2) as shared, count(*) as users
  from sides
