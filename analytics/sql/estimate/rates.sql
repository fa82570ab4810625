-- The smallest sampling rate of each realm in a window, from the ledger: it bounds the runs of which none was drawn.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
select realm_id, min(list_min(sample_rates)) as rate
  from partitions
 where ($since::timestamptz is null or day >= $since::timestamptz::date)
   and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
 group by all
