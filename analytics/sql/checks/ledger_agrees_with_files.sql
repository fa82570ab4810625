-- The ledger's row counts are those of the files.
-- severity: error
with on_disk as (
  select realm_id, day, count(*) as rows_in_file, sum(coalesce(len(trace), 0))::bigint as entries_in_file
    from executions
   group by all
)
select coalesce(l.realm_id, f.realm_id) as realm_id, coalesce(l.day, f.day) as day,
       l.logged_count as rows_in_ledger, f.rows_in_file, l.trace_entries as entries_in_ledger, f.entries_in_file
  from (select * from partitions where logged_count > 0) as l
  full join on_disk as f
    on f.realm_id is not distinct from l.realm_id and f.day is not distinct from l.day
 where l.logged_count is distinct from f.rows_in_file
    or l.trace_entries is distinct from f.entries_in_file
