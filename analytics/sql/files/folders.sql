-- Realm and day of a file, read from the two folders it lies in: hive's own reading takes every folder above them for a partition too
-- (backups/day=2026-01-01/lake). Counted from the path's end and made of nothing but the path: only so can DuckDB tell by its name that
-- a file has not the day that is asked for, and leave it unopened. The path is split as a list: of the one path that all rows of a
-- file share DuckDB does that once for a thousand of them, and split_part, which says the same, once for each.
create or replace macro files.realm_of(path) as
  nullif(url_decode(substr(string_split(path, '/')[-3], 7)), '__HIVE_DEFAULT_PARTITION__');
create or replace macro files.day_of(path) as
  try_cast(substr(string_split(path, '/')[-2], 5) as date);
