-- The least and the most of the JSON texts that each place of a program has recorded: one and the same where it never varies.
-- Grain: position. Reads profile_sample and profile_places: variant, and the position of each entry.
with entries as (
  select unnest(places.positions) as position,
         unnest(list_transform(runs.trace[1:len(places.positions)], lambda entry: entry.value)) as value
    from profile_sample as runs
    join profile_places as places using (variant)
)
select position, count(*) as entry_count, min(coalesce(value, 'null')) as least, max(coalesce(value, 'null')) as most
  from entries
 group by position
 order by position
