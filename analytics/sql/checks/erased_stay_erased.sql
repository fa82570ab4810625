-- No file holds an id of somebody who was erased, as their own, as a pseudonym or within a text; the next extraction takes it out.
-- severity: error
select path, problem, repair
  from erased_files
