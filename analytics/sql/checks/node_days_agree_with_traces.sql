-- The daily rollup counts the entries the traces hold.
-- severity: error
with stored as (
  select realm_id, day, sum(len(trace))::bigint as entries
    from executions
   group by all
  having sum(len(trace)) > 0
), rolled as (
  select realm_id, day, sum(entry_count)::bigint as entries
    from node_days
   group by all
)
select coalesce(s.realm_id, r.realm_id) as realm_id, coalesce(s.day, r.day) as day,
       s.entries as entries_in_traces, r.entries as entries_in_rollup
  from stored as s
  full join rolled as r
    on r.realm_id is not distinct from s.realm_id and r.day is not distinct from s.day
 where s.entries is distinct from r.entries
