-- The oldest row since a time, NULL where there is none. One row; asked only where an index finds it, or where the table is small.
select min(created_at) at time zone 'UTC' as oldest
  from strategyexecutionlog
 where created_at >= %(since)s
   and created_at < '9999-12-31 00:00:00+00'
