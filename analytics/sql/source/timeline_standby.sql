-- The timeline that a standby has replayed, as its control file has it: that may be a moment behind. One row.
select greatest(c.timeline_id, r.min_recovery_end_timeline)           as timeline
  from pg_control_checkpoint() c
 cross join pg_control_recovery() r
