-- The files of this table, by explicit path; the folder's realm is left out, realm_id inside is the truth.
create or replace view files.definition_nodes as
from read_parquet(getvariable('definition_nodes_files'), hive_partitioning = false);
