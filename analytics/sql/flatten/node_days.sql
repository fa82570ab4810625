-- The per-node daily rollup of one run. Sums, so that partial ones of several runs add up.
with entries as (
  select number, realm_id, strategy_id, strategy_version, sample_weight, unnest(trace) as entry
    from run
)
select number,
       realm_id,
       strategy_id,
       strategy_version,
       entry.node_id                                               as node_id,
       entry.type                                                  as type,
       entry.branch                                                as branch,
       count(*)                                                    as entry_count,
       sum(sample_weight)                                          as est_entries,
       count(*) filter (where entry.value = 'true')                as true_count,
       count(*) filter (where entry.value = 'false')               as false_count,
       count(*) filter (where entry.value = 'null')                as null_count,
       count(*) filter (where starts_with(entry.value, '"'))       as text_count,
       count(entry.value_number)                                   as number_count,
       sum(entry.value_number)   filter (where isfinite(entry.value_number)) as number_sum,
       sum(entry.value_number ** 2) filter (where abs(entry.value_number) < 1e150) as number_sum_squares,
       min(entry.value_number)                                     as number_min,
       max(entry.value_number)                                     as number_max
  from entries
 group by all
