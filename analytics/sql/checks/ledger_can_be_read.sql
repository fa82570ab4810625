-- Every file of the ledger can be read; extracting its day writes a damaged one anew.
-- severity: error
select name, problem
  from ledger_files
