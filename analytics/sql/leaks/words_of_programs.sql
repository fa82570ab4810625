-- Which of these words the authors in sight have written into their programs, or given to something as its name.
-- They are shown because they stand there. As a part of a longer one ("acme" in "acme-north") a word does not count;
-- $written holds each as JSON writes it.
-- A pattern is made for every pair of texts, so the quick question comes first.
with found as (
  select word, written, '(?:^|[^\pL\pN_@-])(?:' || regexp_escape(word) || '|' || regexp_escape(written) || ')(?:[^\pL\pN_@-]|$)' as alone
    from (select unnest($found::varchar[]) as word, unnest($written::varchar[]) as written)
),
names as (
  select distinct unnest([
      case_name, error_code, external_game_id, external_task_id, strategy_id, execution_id, strategy_type, parent_strategy_id
    ]) as word
    from executions
   where created_at >= $since and created_at < $until or created_at is null
  union
  -- an error's code is also told in words
  select distinct unnest(string_split(lower(error_code), '_')) from executions
   where created_at >= $since and created_at < $until or created_at is null
  union
  select distinct node_id from node_days
),
texts as (
  select unnest([ast_json, family_name]) as text from definitions
)
select distinct word
  from found
 where word in (from names)
    or exists (
         select 1 from texts
          where case when contains(text, word) or contains(text, written) then regexp_matches(text, alone) end
       )
