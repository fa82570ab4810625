-- The server's clock, and as whom it knows us. One row; asked before everything that may still change what it means.
select now() at time zone 'UTC'                                       as snapshot_at,
       quote_ident(current_user)                                      as quoted_role
