-- How many connections are open. One row.
select count(*)                                                                as connections
  from pg_stat_activity
 where backend_type = 'client backend'
