-- What one file of the lake says is what the others know: its key, its expired days, its ledger, its programs.
-- severity: error
select file, says, repair
  from file_problems
