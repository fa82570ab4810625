-- Every row has a weight of at least one: NULL means ok rows were logged although the configured rate was 0.
-- severity: error
select execution_id, status, sampled, sample_weight
  from executions
 where sample_weight is null or sample_weight < 1
