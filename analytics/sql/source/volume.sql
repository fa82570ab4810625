-- Rows per UTC day of a window. Reads no trace; asked only where an index finds the window, or where the table is small.
select (created_at at time zone 'UTC')::date                                     as day,
       count(*)                                                                  as logged_count,
       count(*) filter (where status collate "C" <> 'ok')                        as failed_count,
       count(*) filter (where sampled is distinct from (status collate "C" = 'ok')) as odd_count
  from strategyexecutionlog
 where created_at >= %(since)s and created_at < %(until)s
 group by 1
 order by 1
