"""Everything that is tried, by name, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable

from . import disks, kills, servers, sources, tenants
from .world import World

SCENARIOS: dict[str, Callable[[World], None]] = {
    "kill at every step": kills.at_every_step,
    "kill at random moments": kills.at_random_moments,
    "two and three at once": kills.several_at_once,
    "stale lock": kills.stale_lock,
    "power cut": kills.power_cut,
    "disk full": disks.disk_full,
    "read-only lake": disks.read_only,
    "strangers planted": disks.strangers_planted,
    "ledger lost, damaged, lying": disks.damage,
    "server killed in COPY": servers.server_killed,
    "connection cut in COPY": servers.connection_cut,
    "cancelled by the server": servers.cancelled,
    "late commits": sources.late_commits,
    "completeness": sources.completeness,
    "rows deleted": sources.rows_deleted,
    "rows changed and moved": sources.rows_changed,
    "many small tenants": tenants.many_tenants,
}
