-- The rollups of all runs added up, in file order.
select number,
       realm_id, strategy_id, strategy_version, node_id, type, branch,
       sum(entry_count)::bigint        as entry_count,
       sum(est_entries)                as est_entries,
       sum(true_count)::bigint         as true_count,
       sum(false_count)::bigint        as false_count,
       sum(null_count)::bigint         as null_count,
       sum(text_count)::bigint         as text_count,
       sum(number_count)::bigint       as number_count,
       sum(number_sum)                 as number_sum,
       sum(number_sum_squares)         as number_sum_squares,
       min(number_min)                 as number_min,
       max(number_max)                 as number_max
  from partial_node_days
 group by all
 order by number, strategy_id, strategy_version, node_id, type, branch
