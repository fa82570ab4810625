-- The server's clock now, not that of the transaction. One row.
select clock_timestamp() at time zone 'UTC' as server_time
