-- How many logged ok runs of one version have a trace, before the window and in it.
-- Grain: one row. Parameters as in profile_sample.
select count(*) filter (where not is_recent) as before_count,
       count(*) filter (where is_recent)     as recent_count
  from (select created_at >= $recent::timestamptz as is_recent
          from executions
         where realm_id is not distinct from $realm
           and strategy_id = $strategy
           and strategy_version = $version::integer
           and day between ($since::timestamptz)::date and ($until::timestamptz)::date
           and created_at >= $since::timestamptz
           and created_at <  $until::timestamptz
           and status = 'ok'
           and nodes_executed > 0
           and sample_weight > 0)
