-- What the doctor wants to know of the server. One row.
select current_setting('server_version')                                       as server_version,
       current_setting('server_version_num')::int                              as version_number,
       current_user                                                            as role,
       pg_is_in_recovery()                                                     as is_standby,
       current_setting('hot_standby_feedback')::bool                           as hot_standby_feedback,
       current_setting('max_standby_streaming_delay')                          as standby_delay,
       current_setting('max_connections')::int                                 as max_connections,
       (select count(*) from pg_stat_activity where backend_type = 'client backend')
                                                                               as connections
