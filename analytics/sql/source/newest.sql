-- The newest row after a time, NULL where there is none. One row; asked only where the table is small.
select max(created_at) at time zone 'UTC' as newest
  from strategyexecutionlog
 where created_at >= %(after)s
   and created_at < '9999-12-31 00:00:00+00'
