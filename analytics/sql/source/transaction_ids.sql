-- How far the server has counted its transactions, in 64 bits. One row. Also a standby tells, and no id is used up.
select txid_snapshot_xmax(txid_current_snapshot())::text              as reached
