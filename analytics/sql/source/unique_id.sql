-- Does a key keep an id from standing twice in the log table? A view has none, a partitioned table often one of id and time, and a
-- key of a table says nothing of its children. One row.
select exists (select
                 from pg_index i
                 join pg_class c on c.oid = i.indrelid
                 join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                where c.oid = to_regclass('strategyexecutionlog')
                  and i.indisunique and i.indisvalid and i.indpred is null and i.indnkeyatts = 1
                  and a.attname = 'id'
                  and (c.relkind = 'p' or not exists (select from pg_inherits h where h.inhparent = c.oid)))
                                                                      as is_unique
