-- The engine's error codes that are known: a code, whether a validated program cannot give it, and what the run met.
create or replace temp table error_codes as
select unnest($1::varchar[]) as error_code,
       unnest($2::boolean[]) as is_canary,
       unnest($3::varchar[]) as meaning;
