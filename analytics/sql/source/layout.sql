-- How large the log table is, and how well its rows lie in the order of time (1: exactly, 0: not at all). One row.
select coalesce(sum(c.relpages), 0)::float8                            as pages,
       coalesce(sum(c.reltuples) filter (where c.reltuples > 0), 0)::float8
                                                                      as row_estimate,
       -- with what is stored out of line, without indexes
       coalesce(sum(pg_table_size(c.oid)), 0)::int8                   as bytes_with_values,
       coalesce(sum(pg_relation_size(c.oid)), 0)::int8                as table_bytes,
       -- of a partitioned table that of its parts, weighted by their rows
       coalesce(sum(abs(s.correlation) * c.reltuples) / nullif(sum(c.reltuples) filter (where s.correlation is not null), 0),
                0)::float8                                            as correlation
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = 'created_at'
                      and not s.inherited
 where c.relkind in ('r', 'm')
   and (c.oid = to_regclass('strategyexecutionlog')
        or c.oid in (select relid from pg_partition_tree(to_regclass('strategyexecutionlog')) where isleaf))
