-- A name of 128 bits per way to walk through a program: two hashes, so that two shapes are never taken for one.
create or replace temp macro run_shape(trace, is_whole) as
  concat(hash(trace_shape(trace), is_whole), '-', hash('and again', is_whole, trace_shape(trace)))
