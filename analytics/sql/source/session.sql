-- What the doctor wants to know of the server. One row.
select current_setting('server_version')                                       as server_version,
       current_setting('server_version_num')::int                              as version_number,
       current_user                                                            as role,
       coalesce(current_setting('hot_standby_feedback', true), 'off')::bool    as hot_standby_feedback,
       coalesce(current_setting('max_standby_streaming_delay', true), '?')     as standby_delay,
       current_setting('max_connections')::int                                 as max_connections
