-- Names of the strategies of a lake, for a list to choose from; those that ran last are not told from others: the log is not read.
-- $most integer: of so many.
select distinct family_name
  from definitions
 where family_name is not null
 order by family_name
 limit $most
