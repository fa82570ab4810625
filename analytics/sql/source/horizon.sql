-- The server's clock, and what of it can be seen. One row; asked before open_transactions and prepared_transactions.
-- A role without pg_read_all_stats sees other roles' backends with every time NULL: those are counted as hidden.
-- A standby is behind when it has not replayed what it received, or when nobody sends: without a receiver (replay from an
-- archive, or the stream is cut) the last replayed commit is all that is known of the primary's clock.
select now() at time zone 'UTC'                                       as snapshot_at,
       quote_ident(current_user)                                      as quoted_role,
       pg_is_in_recovery()                                            as is_standby,
       case when pg_is_in_recovery()
             and (pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn()
                  or not exists (select from pg_stat_wal_receiver where pid is not null))
            then pg_last_xact_replay_timestamp() at time zone 'UTC' end
                                                                      as replayed_at,
       (select count(*)
          from pg_stat_activity a
         where a.datname = current_database()
           and a.backend_type is distinct from 'parallel worker'
           and a.pid <> pg_backend_pid()
           and a.backend_start is null)                               as hidden_backends
