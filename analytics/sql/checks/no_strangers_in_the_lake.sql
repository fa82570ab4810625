-- No file lies in the tables' folders that the lake did not write; extracting the day sets such files aside.
-- severity: error
select path, bytes_on_disk
  from lake_files
 where is_stranger
