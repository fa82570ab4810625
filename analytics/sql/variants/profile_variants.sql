-- The ways that sampled runs of one version took, each with the trace of one of them.
-- Grain: variant, is_recent. Reads the relation profile_sample.
select variant, is_recent, is_cut,
       any_value(is_extend)                     as is_extend,
       count(*)                                 as logged_count,
       sum(sample_weight)                       as weight,
       sum(sample_weight * sample_weight)       as weight_square,
       coalesce(sum(sample_weight * len(trace)), 0)      as stored,
       coalesce(sum(sample_weight * nodes_executed), 0)  as nodes,
       any_value(trace)                         as trace
  from profile_sample
 group by all
 order by min(execution_id), variant, is_recent
