-- How often each rule was looked at and how often it was seen to match, place by place, with a verdict.
-- Grain: realm, strategy, version, place in the program (rules, and the first statement of its default); strategies with logged
-- runs in the window. Whole UTC days, from the daily rollup. The log is a sample: a verdict says what was not seen, and what the
-- program proves; share_high bounds the share of looks in which it matches (exact binomial, one-sided 95 %, each row for itself),
-- est_runs_high how many runs that may be. Counts are of logged entries. places_count above 1: the program has several rules of
-- this id, which share the counts. position is NULL for a rule of the traces that the definition, if there is one, does not have.
-- cut_logged_count: logged ok runs whose trace was cut, as the notes say, so that a rule's entry may be missing.
-- Verdict, bounds and weekdays are Python's (analytics.warehouse.rule_verdicts); this statement gathers what they rest on: est_count and
-- est_whole (runs estimated from a rule's looks, and from whole traces), weights, hours, and weekday_mask (1 for Monday to 64 for
-- Sunday, added up).
-- $since timestamptz: start of the window; NULL for no start.
-- $until timestamptz: end of the window, not in it; NULL for no end.
-- column entry_count: Logged entries of the rule, or of the default's first statement.
-- column type: rule, or the kind of the default's first statement.
-- column cut_logged_count: Logged ok runs whose trace was cut, so that the rule's entry may be missing.
-- column places_count: Rules of this id in the program, which share the counts.
-- column position: Place of the rule in the walk of the program; NULL where the definition does not have it.
-- column ok_logged_count: Logged ok runs of the version.
with gathered as (
  -- Of the entries the sums, and beside them (type NULL) the runs that could have left one.
  select realm_id, day, strategy_id, strategy_version, type, node_id,
         sum(entry_count)::bigint                                                          as entry_count,
         coalesce(sum(entry_count) filter (where type <> 'rule' or branch = 'match' or starts_with(branch, 'elseif')), 0)::bigint
                                                                                           as match_count,
         coalesce(sum(entry_count) filter (where branch = 'else'), 0)::bigint              as else_count,
         sum(est_entries::decimal(38, 6))                                                  as est_count,
         null::double as most_weight, 0::bigint as weightless_count, null::bigint as first_hour, null::bigint as last_hour
    from node_days
   where type in ('rule', 'assign_points', 'set_callback_data', 'set_data', 'return')
     and ($since::timestamptz is null or day >= $since::timestamptz::date)
     and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
   group by all
   union all
  select realm_id, day, strategy_id, strategy_version, null as type, null as node_id,
         count(*)                                                        as entry_count,
         count(*) filter (where starts_with(notes, 'trace truncated: ')) as match_count,
         0                                                               as else_count,
         sum(sample_weight::decimal(38, 6)) filter (where not coalesce(starts_with(notes, 'trace truncated: '), false))
                                                                         as est_count,
         max(sample_weight)::double                                      as most_weight,
         count(*) - count(sample_weight)                                 as weightless_count,
         min((epoch_us(created_at) + 62135596800000000) // 3600000000 % 24) as first_hour,
         max((epoch_us(created_at) + 62135596800000000) // 3600000000 % 24) as last_hour
    from executions
   where status = 'ok' and nodes_executed > 0
     and ($since::timestamptz is null or day >= $since::timestamptz::date)
     and ($until::timestamptz is null or day <= ($until::timestamptz - interval 1 microsecond)::date)
   group by all
), seen as (
  select realm_id, strategy_id, strategy_version, type, node_id, sum(entry_count)::bigint as entry_count,
         sum(match_count)::bigint as match_count, sum(else_count)::bigint as else_count,
         sum(est_count)::double as est_count,
         sum(distinct power(2, datediff('day', date '0001-01-01', day) % 7))::bigint as weekday_mask
    from gathered
   where type is not null
   group by all
), ran as (
  select realm_id, strategy_id, strategy_version, sum(entry_count)::bigint as ok_logged_count,
         sum(match_count)::bigint as cut_logged_count, sum(est_count)::double as est_whole,
         max(most_weight) as most_weight, sum(weightless_count)::bigint as weightless_count,
         min(first_hour) as first_hour, max(last_hour) as last_hour,
         sum(distinct power(2, datediff('day', date '0001-01-01', day) % 7))::bigint as weekday_mask
    from gathered
   where type is null
   group by all
), named as (
  select strategy_id, strategy_version, node_id, type, position, section, rule_index, parent_position, slot,
         count(*) over (partition by strategy_id, strategy_version, type, node_id) as places_count
    from definition_nodes
), places as (
  select *
    from named
   where type = 'rule' or (parent_position is null and slot in ('default', 'default[0]'))
), known as (
  select r.realm_id, r.strategy_id, r.strategy_version, p.type, p.node_id, p.position, p.section, p.rule_index, p.places_count
    from ran r
    join places p on p.strategy_id = r.strategy_id and p.strategy_version = r.strategy_version
  union all
  select s.realm_id, s.strategy_id, s.strategy_version, s.type, s.node_id, null, null, null, 1
    from seen s
    left join places p
      on p.strategy_id = s.strategy_id and p.strategy_version = s.strategy_version and p.type = s.type
     and p.node_id is not distinct from s.node_id
   where s.type = 'rule' and p.position is null
)
select k.realm_id,
       coalesce(d.family_name, k.strategy_id)         as strategy,
       d.family_name,
       k.strategy_version,
       k.section,
       k.rule_index,
       k.position,
       k.node_id                                      as rule_id,
       k.type,
       coalesce(s.entry_count, 0)                     as entry_count,
       coalesce(s.match_count, 0)                     as match_count,
       coalesce(s.else_count, 0)                      as else_count,
       coalesce(r.ok_logged_count, 0)                 as ok_logged_count,
       coalesce(r.cut_logged_count, 0)                as cut_logged_count,
       k.places_count,
       s.est_count,
       r.est_whole,
       r.most_weight,
       coalesce(r.weightless_count, 0)                as weightless_count,
       r.first_hour,
       r.last_hour,
       coalesce(s.weekday_mask, r.weekday_mask, 0)    as weekday_mask,
       k.strategy_id
  from known k
  left join seen s
    on s.realm_id is not distinct from k.realm_id and s.strategy_id = k.strategy_id
   and s.strategy_version = k.strategy_version and s.type = k.type and s.node_id is not distinct from k.node_id
  left join ran r
    on r.realm_id is not distinct from k.realm_id and r.strategy_id = k.strategy_id
   and r.strategy_version = k.strategy_version
  left join definitions d
    on d.strategy_id = k.strategy_id and d.strategy_version = k.strategy_version
 order by k.realm_id, strategy, k.strategy_version, k.strategy_id, k.position, rule_id
