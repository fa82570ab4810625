-- The timeline that is written: the first 8 hexadecimal digits of a segment's name. One row; a standby refuses to tell.
select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
                                                                      as timeline
