-- Per-node daily rollup of the traces. Grain: realm, day, strategy, version, node id, type, branch.
create view node_days as
select n.realm_id, n.day, n.* exclude (realm_id, day, realm), d.family_name
  from files.node_days n
  left join (select strategy_id, strategy_version, min(family_name) as family_name from definitions group by all) d
    on d.strategy_id = n.strategy_id and d.strategy_version = n.strategy_version;
comment on view node_days is 'Trace entries per realm, UTC day, strategy, version, node id, type and branch. Derived from executions, rebuildable.';
comment on column node_days.realm_id is 'Tenant; may be NULL.';
comment on column node_days.day is 'UTC date of the runs; NULL for runs without a usable created_at.';
comment on column node_days.strategy_id is 'Program that ran.';
comment on column node_days.strategy_version is 'Its version.';
comment on column node_days.node_id is 'Id of the node; may be NULL; ids that repeat within a run share one row.';
comment on column node_days.type is 'Type of the node.';
comment on column node_days.branch is 'Branch taken; NULL where the type has none.';
comment on column node_days.entry_count is 'Entries in the log: a count of logged entries, not of evaluations.';
comment on column node_days.est_entries is 'Estimated evaluations: sum of the runs'' sample_weight where it is known, as sum() does; NULL where none is (rate 0). Entries beyond the stored 200 are missing.';
comment on column node_days.true_count is 'Logged entries with value true.';
comment on column node_days.false_count is 'Logged entries with value false.';
comment on column node_days.null_count is 'Logged entries with value null.';
comment on column node_days.text_count is 'Logged entries whose value is text.';
comment on column node_days.number_count is 'Logged entries whose value is a number.';
comment on column node_days.number_sum is 'Sum of the finite numbers; NULL when there is none.';
comment on column node_days.number_sum_squares is 'Sum of squares of the numbers below 1e150, for a variance; NULL when there is none.';
comment on column node_days.number_min is 'Smallest number in the log; NULL when there is none.';
comment on column node_days.number_max is 'Largest number in the log; NULL when there is none.';
comment on column node_days.family_name is 'Author''s name of the strategy; NULL when no definition tells it. Names repeat across realms.';
