-- Who is known in a span of days: the ids that are looked for inside what runs of theirs, or of others, recorded.
with spanned as (
  -- by their bytes: a collation may take two ids for one
  select "realmId" collate "C" as realm_id, "externalUserId" collate "C" as external_user_id,
         oauth_user_id collate "C" as oauth_user_id
    from strategyexecutionlog
   where created_at >= %(since)s
     and created_at < %(until)s
     and (%(all_realms)s
          or "realmId" = any(%(realms)s) and "realmId" collate "C" = any(%(realms)s)
          or %(null_realm)s and "realmId" is null)
)
select realm_id, external_user_id as user_id from spanned where external_user_id is not null
union
select realm_id, oauth_user_id from spanned where oauth_user_id is not null
