-- Is this a standby? One row; a managed server may refuse to tell.
select pg_is_in_recovery()                                            as is_standby
