-- How far a standby is behind. One row; a managed one whose storage is shared may refuse to tell.
-- It is behind when it has not replayed what it received, or when nobody sends: without a receiver (replay from an archive, or the
-- stream is cut) the last replayed commit is all that is known of the primary's clock.
select case when pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn()
              or not exists (select from pg_stat_wal_receiver where pid is not null)
            then pg_last_xact_replay_timestamp() at time zone 'UTC' end
                                                                      as replayed_at
