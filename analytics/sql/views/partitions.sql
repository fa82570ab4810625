-- What the ledger remembers of every partition.
create view partitions as
select * from files.partitions;
comment on view partitions is 'One row per realm and UTC day the ledger knows: rows, completeness, sampling rate. Days without a row are in the ledger only: see status.';
comment on column partitions.realm_id is 'Tenant; may be NULL.';
comment on column partitions.day is 'UTC date; NULL for rows without a usable created_at.';
comment on column partitions.logged_count is 'Rows in the file.';
comment on column partitions.source_count is 'Rows the server counted.';
comment on column partitions.kept_count is 'Rows kept though the source no longer has them: deleted there, or lost when it was promoted or restored.';
comment on column partitions.erased_count is 'Rows left out, of erased people and those that were found in another partition since: logged_count is source_count plus kept_count less these.';
comment on column partitions.trace_entries is 'Stored trace entries.';
comment on column partitions.irregular_count is 'Rows whose trace is kept verbatim besides the list.';
comment on column partitions.sample_rate is 'Rate the weights were made with; NULL when it changed within the day: see sample_rates.';
comment on column partitions.sample_rates is 'Rates in force within the day, in order of time; the weights were made with the one at each run''s created_at.';
comment on column partitions.file_bytes is 'Size of the execution file.';
comment on column partitions.is_complete is 'Every row of the day created before its end is there.';
comment on column partitions.complete_until is 'Rows created before this are all there, UTC.';
comment on column partitions.extracted_at is 'When the file was written, UTC.';
