-- COPY rows (copied) with their traces as lists, each list proved: spelled out again in jsonb's own way and compared with
-- the text. DuckDB spells nested arrays and objects without spaces, so a second look takes the spaces out of both sides,
-- unless a key holds one: "node Id" must not pass for "nodeId".
-- A trace longer than $longest bytes is not tried here, where it would need twenty times its size.
-- Rows that are not proved keep their text in unproved, to be read again, exactly.
with parsed as (
  select *,
         list_transform(
           try_cast(from_json(case when strlen(trace_json) <= $longest then trace_json end,
                              '[{"nodeId":"VARCHAR","type":"VARCHAR","value":"JSON","branch":"VARCHAR"}]')
                    as struct(nodeId varchar, type varchar, value json, branch varchar)[]),
           lambda e: {
             'node_id': e.nodeId,
             'type':    e.type,
             'branch':  e.branch,
             'value':   coalesce(e.value::varchar, 'null'),
             -- digits and the minus sign sort before ':', and the quote is 34: only numbers get a number
             'value_number': case when ascii(e.value::varchar) < 58 and ascii(e.value::varchar) <> 34
                                  then try_cast(e.value::varchar as double) end
           }) as entries
    from copied
),
spelled as (
  select *,
         '[' || array_to_string(list_transform(entries, lambda e:
           '{"type": "' || e.type || '", "value": ' || e.value
           || coalesce(', "branch": "' || e.branch || '"', '')
           || ', "nodeId": ' || coalesce('"' || e.node_id || '"', 'null') || '}'), ', ') || ']' as spelling
    from parsed
),
proved as (
  select *,
         case when trace_json is null or trace_json = spelling then true
              when spelling is null then false
              else coalesce(replace(trace_json, ' ', '') = replace(spelling, ' ', '')
                            and not regexp_matches(trace_json, '"[^"]* [^"]*":'), false)
         end as is_proved
    from spelled
)
select * exclude (trace_json, entries, spelling, is_proved, created_at, updated_at),
       created_at at time zone 'UTC'                               as created_at,
       updated_at at time zone 'UTC'                               as updated_at,
       created_at::date                                            as day,
       case when is_proved then entries end                        as trace,
       case when not is_proved and trace_json = 'null' then 'null' end as trace_irregular,
       case when not is_proved and trace_json <> 'null' then trace_json end as unproved,
       length(trace_json)                                          as trace_bytes,
       -- a row drawn by the sampler stands for 1/rate runs; one kept because it failed, for itself
       case when sampled and status = 'ok' then 1 / nullif($sample_rate, 0) else 1 end as sample_weight
  from proved
