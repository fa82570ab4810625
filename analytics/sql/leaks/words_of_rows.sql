-- Which of these words stand in what the runs in sight recorded, and are therefore the tenant's own.
-- As a part of a longer one ("acme" in "acme-north") a word does not count; $written holds each as JSON writes it.
-- Asked for a few words, and only when a report of one tenant holds another one's name.
-- A pattern is made for every pair of texts, so the quick question comes first.
with found as (
  select word, written, '(?:^|[^\pL\pN_@-])(?:' || regexp_escape(word) || '|' || regexp_escape(written) || ')(?:[^\pL\pN_@-]|$)' as alone
    from (select unnest($found::varchar[]) as word, unnest($written::varchar[]) as written)
),
texts as (
  select distinct unnest([case_name, notes, error_code, external_user_id, external_game_id, external_task_id]) as text
    from executions
   where created_at >= $since and created_at < $until or created_at is null
  union
  select distinct unnest(list_concat(list_transform(trace, lambda x: x.value), list_transform(trace, lambda x: x.node_id)))
    from executions
   where created_at >= $since and created_at < $until or created_at is null
)
select distinct word
  from found
  join texts on case when contains(text, word) or contains(text, written) then regexp_matches(text, alone) end
