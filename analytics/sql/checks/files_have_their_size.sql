-- Every partition's files are there with the sizes the ledger remembers; extracting their day mends others.
-- severity: error
select path, bytes_on_disk, bytes_in_ledger
  from lake_files
 where not is_stranger
   and not starts_with(path, 'definition') and not starts_with(path, 'program_history') -- the ledger does not know those
   and bytes_on_disk is distinct from bytes_in_ledger
