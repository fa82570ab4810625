-- One row per stored trace entry: the flattened traces.
create view nodes as
with entries as (
  select execution_id, created_at, day, realm_id, strategy_id, strategy_version, family_name, status, sample_weight,
         unnest(trace)                       as entry,
         generate_subscripts(trace, 1) - 1   as seq
    from executions
)
select execution_id,
       seq,
       entry.node_id                         as node_id,
       entry.type                            as type,
       entry.branch                          as branch,
       entry.value                           as value,
       entry.value_number                    as value_number,
       case entry.value when 'true' then true when 'false' then false end as value_boolean,
       case when starts_with(entry.value, '"') then json_extract_string(entry.value, '$')
            when starts_with(entry.value, '[') or starts_with(entry.value, '{') then entry.value end as value_text,
       created_at,
       day,
       realm_id,
       strategy_id,
       strategy_version,
       status,
       sample_weight,
       family_name
  from entries;
comment on view nodes is 'One row per stored trace entry, in evaluation order, children before their parent. Traces are cut at 200 entries. For counts over many days use node_days, fifty times faster.';
comment on column nodes.execution_id is 'The run; join executions on it.';
comment on column nodes.seq is 'Position in the trace, 0-based; order by it.';
comment on column nodes.node_id is 'Id of the node: the author''s or generated. May be NULL, may repeat within a run, is not stable across versions.';
comment on column nodes.type is 'rule, and, or, not, compare, field, literal, arith, func_call, assign_points, set_points, set_case_name, set_data, set_callback_data, veto, return.';
comment on column nodes.branch is 'match, skip, else, elseif:<i>, short_circuit:<i>, veto, halt; NULL where the type has none.';
comment on column nodes.value is 'The value as JSON text: keeps "1" apart from 1, and integers of any length.';
comment on column nodes.value_number is 'The value as a double when it is a number; else NULL.';
comment on column nodes.value_boolean is 'The value when it is true or false; else NULL.';
comment on column nodes.value_text is 'The value when it is text (unquoted), an array or an object (JSON text); else NULL.';
comment on column nodes.created_at is 'End of the run, UTC.';
comment on column nodes.day is 'UTC date of created_at; NULL when there is none.';
comment on column nodes.realm_id is 'Tenant; may be NULL.';
comment on column nodes.strategy_id is 'Program that ran.';
comment on column nodes.strategy_version is 'Its version.';
comment on column nodes.status is 'Status of the run.';
comment on column nodes.sample_weight is 'How many runs the run stands for.';
comment on column nodes.family_name is 'Author''s name of the strategy; NULL when no definition tells it. Names repeat across realms.';
