-- May the table be read at all? No row is asked for.
select from {table} limit 0
