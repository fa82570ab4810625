-- Every day file has its size, and the same rows as the files of the partitions it stands for; extracting its day mends it.
-- severity: error
with in_day_files as (
  select 'executions' as table_name, realm_id, day, count(*) as row_count, sum(hash(r)) as row_hash
    from (select * exclude (realm) from files.day_executions) as r
   group by all
  union all
  select 'node_days', realm_id, day, count(*), sum(hash(r))
    from (select * exclude (realm) from files.day_node_days) as r
   group by all
), in_partitions as (
  select 'executions' as table_name, realm_id, day, count(*) as row_count, sum(hash(r)) as row_hash
    from (select f.* exclude (realm)
            from files.executions as f
            join day_file_partitions as p
              on p.table_name = 'executions' and p.realm_id is not distinct from f.realm_id and p.day = f.day) as r
   group by all
  union all
  select 'node_days', realm_id, day, count(*), sum(hash(r))
    from (select f.* exclude (realm)
            from files.node_days as f
            join day_file_partitions as p
              on p.table_name = 'node_days' and p.realm_id is not distinct from f.realm_id and p.day = f.day) as r
   group by all
)
select coalesce(w.table_name, p.table_name) as table_name, coalesce(w.day, p.day) as day,
       coalesce(w.realm_id, p.realm_id) as realm_id,
       w.row_count as rows_in_day_file, p.row_count as rows_in_partition,
       null::varchar as path, null::bigint as bytes_on_disk
  from in_day_files as w
  full join in_partitions as p
    on p.table_name = w.table_name and p.day = w.day and p.realm_id is not distinct from w.realm_id
 where w.row_hash is distinct from p.row_hash
    or w.row_count is distinct from p.row_count
union all
select table_name, day, null, null, null, path, bytes_on_disk
  from day_files
 where bytes_on_disk <> bytes_in_name
