-- Versions that too few people ran: fewer distinct logged users than $least in a window, or, where none ran in it, before it.
-- $least bigint, users below which a version is left out; $start, $since, $until timestamptz, the history's start and the window.
with counted as (
  select realm_id, strategy_id, strategy_version,
         count(*) filter (where created_at >= $since::timestamptz)                          as in_window,
         count(distinct external_user_id) filter (where created_at >= $since::timestamptz)  as users_in_window,
         count(distinct external_user_id)                                                   as users
    from executions
   where day >= $start::timestamptz::date
     and day <= $until::timestamptz::date
     and created_at >= $start::timestamptz
     and created_at < $until::timestamptz
   group by realm_id, strategy_id, strategy_version
)
select realm_id, strategy_id, strategy_version
  from counted
 where case when in_window > 0 then users_in_window else users end < $least
