-- The view nodes in Spark's SQL: its own generator for lists, and its own reader of JSON text.
select execution_id,
       seq,
       entry.node_id                         as node_id,
       entry.type                            as type,
       entry.branch                          as branch,
       entry.value                           as value,
       entry.value_number                    as value_number,
       case entry.value when 'true' then true when 'false' then false end as value_boolean,
       case when startswith(entry.value, '"') then from_json(concat('{"v":', entry.value, '}'), 'v string').v
            when startswith(entry.value, '[') or startswith(entry.value, '{') then entry.value end as value_text,
       created_at,
       day,
       realm_id,
       strategy_id,
       strategy_version,
       status,
       sample_weight,
       family_name
  from (select execution_id, created_at, day, realm_id, strategy_id, strategy_version, family_name, status, sample_weight,
               cast(seq as bigint) as seq, entry
          from executions
       lateral view posexplode(trace) entries as seq, entry)
