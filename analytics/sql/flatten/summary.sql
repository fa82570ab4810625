-- What a run holds per partition, strategy and version: to plan the merge, and for the ledger.
select number,
       strategy_id,
       strategy_version,
       status,
       is_kept,
       count(*)                                                     as row_count,
       sum(trace_bytes)::bigint                                     as trace_bytes,
       coalesce(sum(len(trace)), 0)::bigint                         as trace_entries,
       count(*) filter (where trace_irregular <> 'null')            as irregular_count,
       sum(('0x' || left(replace(execution_id, '-', ''), 15))::bigint) as id_hash
  from run
 group by all
