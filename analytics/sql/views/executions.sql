-- One row per logged run: the lake's source of truth, without the physical columns, and the name of its strategy. Names are one for each
-- version, so a question that leaves the name out is asked without the join: DuckDB knows that it changes no row.
create view executions as
select e.day, e.* exclude (day, realm), d.family_name
  from files.executions e
  left join (select strategy_id, strategy_version, min(family_name) as family_name from definitions group by all) d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version;
comment on view executions is 'One row per logged run. A sample: a fraction of ok runs and all failures, so counting rows does not count runs; weigh them with sample_weight.';
comment on column executions.day is 'UTC date of created_at, the partition; NULL when created_at is NULL, infinite or outside the years 1 to 9999.';
comment on column executions.execution_id is 'Id of the run (uuid as text), unique.';
comment on column executions.created_at is 'End of the run by the application''s clock, UTC; the run began duration_ms earlier. NULL: see created_at_irregular.';
comment on column executions.created_at_irregular is 'PostgreSQL''s text of a created_at that no other tool can hold (infinity, years BC or beyond 9999); else NULL.';
comment on column executions.updated_at is 'Last change of the row by the application''s clock, UTC; may be NULL.';
comment on column executions.oauth_user_id is 'Audit: the authenticated person who called the engine; personal data; may be NULL.';
comment on column executions.strategy_id is 'Id of the program''s definition row. Every version has an id of its own; the definition may have been deleted.';
comment on column executions.strategy_version is 'Version of the program; with strategy_id it pins the program that ran.';
comment on column executions.strategy_type is 'DSL_FULL (a program of its own) or DSL_EXTEND (rules around a built-in).';
comment on column executions.realm_id is 'Tenant as the engine wrote it, free text; NULL and the empty string are two different tenants.';
comment on column executions.external_game_id is 'Game of the scoring event, verbatim; may be NULL.';
comment on column executions.external_task_id is 'Task of the scoring event, verbatim; may be NULL.';
comment on column executions.external_user_id is 'User of the scoring event, verbatim; personal data; may be NULL.';
comment on column executions.status is 'ok, error, timeout or limit; any other value counts as a failure.';
comment on column executions.error_code is 'DSL_… code or an exception''s class name when status is not ok; else NULL.';
comment on column executions.points is 'Points emitted. NULL on failures and cancelled calls; may be NaN, infinite or negative: filter with isfinite() before adding up.';
comment on column executions.case_name is 'Author''s name of the case that paid. NULL on ok runs with 0 points: no rule matched; NULL on failures means nothing.';
comment on column executions.duration_ms is 'Wall clock in milliseconds, queries for analytics fields included.';
comment on column executions.nodes_executed is 'Trace entries before truncation. 0 on failures, which says nothing of what they did: treat as censored.';
comment on column executions.trace is 'Entries in evaluation order: node_id, type, branch, value (JSON text), value_number. NULL when there is none; see the view nodes.';
comment on column executions.trace_irregular is 'The trace verbatim as JSON text where the list alone cannot give it back; ''null'' is the JSON null of failed runs; else NULL.';
comment on column executions.sampled is 'True: drawn by the sampler. False: kept because it failed.';
comment on column executions.parent_strategy_id is 'The built-in a DSL_EXTEND program wraps; NULL for DSL_FULL.';
comment on column executions.notes is 'trace truncated: N -> M entries, or free text; may be NULL.';
comment on column executions.family_name is 'Author''s name of the strategy; NULL when no definition tells it. Names repeat across realms.';
comment on column executions.sample_weight is 'How many runs the row stands for: 1/rate, by the tenant''s rate at created_at, when drawn by the sampler (NULL at rate 0); 1 when kept because it failed.';
