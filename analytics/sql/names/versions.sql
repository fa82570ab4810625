-- Versions of a strategy, the newest first, for a list to choose from.
-- $family varchar: its name; NULL for all strategies.
-- $most integer: so many.
select distinct strategy_version
  from definitions
 where $family::varchar is null or family_name = $family::varchar
 order by strategy_version desc
 limit $most
