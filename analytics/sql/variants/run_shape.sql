-- A name per way to walk through a program: 64 bits, so that among a hundred thousand shapes two share one by chance once in four
-- billion times. A cryptographic hash would take twice the time; whoever forges a collision confuses answers about their own
-- program only.
create or replace temp macro run_shape(trace, is_whole) as
  hash(trace_shape(trace), is_whole)::varchar
