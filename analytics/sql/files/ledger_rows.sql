-- The ledger as rows, one per partition: a document of JSON for each day, a list for each column (lake/ledger_columns.py). As values of
-- Python they take three times as long.
create or replace temp table ledger_rows as
with days as (
  select unnest(from_json($1::json, '[{"day": "DATE", "is_complete": "BOOLEAN", "complete_until": "TIMESTAMPTZ",
                                       "realm_id": ["VARCHAR"], "row_count": ["BIGINT"], "source_count": ["BIGINT"],
                                       "kept_count": ["BIGINT"], "erased_count": ["BIGINT"], "trace_entries": ["BIGINT"],
                                       "irregular_count": ["BIGINT"], "rates": [["DOUBLE"]], "file_bytes": ["BIGINT"],
                                       "extracted_at": ["TIMESTAMPTZ"]}]')) as told),
partitions as (
  select unnest(told.realm_id) as realm_id,
         told.day as day,
         unnest(told.row_count) as logged_count,
         unnest(told.source_count) as source_count,
         unnest(told.kept_count) as kept_count,
         unnest(told.erased_count) as erased_count,
         unnest(told.trace_entries) as trace_entries,
         unnest(told.irregular_count) as irregular_count,
         unnest(told.rates) as sample_rates,
         unnest(told.file_bytes) as file_bytes,
         told.is_complete as is_complete,
         told.complete_until as complete_until,
         unnest(told.extracted_at) as extracted_at
    from days)
select realm_id, day, logged_count, source_count, kept_count, erased_count, trace_entries, irregular_count,
       case when len(sample_rates) = 1 then sample_rates[1] end as sample_rate,
       sample_rates, file_bytes, is_complete, complete_until, extracted_at
  from partitions;
