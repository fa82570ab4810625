-- The ledger as rows, one per partition.
create or replace temp table ledger_rows as
select unnest($1::varchar[]) as realm_id,
       unnest($2::date[]) as day,
       unnest($3::bigint[]) as logged_count,
       unnest($4::bigint[]) as source_count,
       unnest($5::bigint[]) as kept_count,
       unnest($6::bigint[]) as erased_count,
       unnest($7::bigint[]) as trace_entries,
       unnest($8::bigint[]) as irregular_count,
       unnest($9::double[]) as sample_rate,
       unnest($10::double[][]) as sample_rates,
       unnest($11::bigint[]) as file_bytes,
       unnest($12::boolean[]) as is_complete,
       unnest($13::timestamptz[]) as complete_until,
       unnest($14::timestamptz[]) as extracted_at;
