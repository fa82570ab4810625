-- Which nodes leave the most trace entries, and to which rule they belong.
-- Grain: realm, strategy, version, node id, type. Whole UTC days, from the daily rollup. Traces are cut at 200 entries: what
-- comes after the cut is not here (est_nodes and est_stored_entries in cost_by_strategy say how much that is).
-- rule_id is NULL where no definition is known or where the node's id stands for nodes of several rules.
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column position: Place of the node in the walk of the program, the first where its id repeats.
-- column path: Field that the node reads; NULL for other types.
-- column rule_id: Id of the rule that the node belongs to; NULL where no definition is known or the id stands for nodes of several rules.
-- column entry_count: Stored entries of the node in the log.
-- column est_entries: Estimated evaluations, without those beyond a cut of the trace.
with gathered as (
  select realm_id, day, strategy_id, strategy_version, node_id, type,
         sum(entry_count)::bigint as entry_count, sum(est_entries::decimal(38, 6)) as est_entries
    from node_days
   where ($since::timestamptz is null or day >= $since::timestamptz::date)
     and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
   group by all
), places as (
  select n.strategy_id, n.strategy_version, n.node_id,
         case when count(distinct (n.section, n.rule_index)) = 1 then min(r.node_id) end as rule_id,
         min(n.position)                                       as position,
         min(n.path) filter (where n.path is not null)   as path
    from definition_nodes n
    left join definition_nodes r
      on r.strategy_id = n.strategy_id and r.strategy_version = n.strategy_version and r.type = 'rule'
     and r.section = n.section and r.rule_index = n.rule_index
   where n.node_id is not null
   group by n.strategy_id, n.strategy_version, n.node_id
), entries as (
  select realm_id, strategy_id, strategy_version, node_id, type,
         sum(entry_count)::bigint as entry_count, sum(est_entries)::double as est_entries,
         sum(sum(est_entries)) over ()::double as all_entries
    from gathered
   group by all
)
select e.realm_id,
       coalesce(d.family_name, e.strategy_id)     as strategy,
       e.strategy_version,
       e.node_id,
       e.type,
       p.rule_id,
       p.position,
       p.path,
       e.entry_count,
       e.est_entries,
       e.est_entries / e.all_entries               as est_entry_share,
       e.strategy_id
  from entries e
  left join definitions d
    on d.strategy_id = e.strategy_id and d.strategy_version = e.strategy_version
  left join places p
    on p.strategy_id = e.strategy_id and p.strategy_version = e.strategy_version and p.node_id = e.node_id
 order by e.est_entries desc, e.realm_id, strategy, e.strategy_version, e.strategy_id, e.node_id, e.type
