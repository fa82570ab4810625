"""A row of the ranking of which a test says only what it is about."""

from __future__ import annotations

import math
from typing import Any

from analytics.estimates.estimate import NOTHING
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.ranking import Group, LoggedCounts, RankingRow
from analytics.findings.runaway.run_costs import VersionCosts
from analytics.findings.runaway.trend import NO_TREND
from analytics.findings.runaway.version_growth import NOWHERE


def costs(**known: Any) -> VersionCosts:
    """Costs of which nothing else is known."""
    unknown = dict.fromkeys(("total_ms", "time_share", "ms_mean", "nodes_mean", "nodes_total", "node_share"), NOTHING)
    numbers = {"ms_dispersion": math.nan, "stalled_count": 0, "unseen_stalls": math.nan}
    return VersionCosts(**(unknown | numbers | known))


def ranking_row(key: Key, **known: Any) -> RankingRow:
    """A version of which nothing else is known."""
    estimates = dict.fromkeys(("est_runs", "nodes_p50", "nodes_p99", "ms_p50", "ms_p99", "limit_share"), NOTHING)
    unknown = {
        "group": Group.NOT_GROWING, "family_name": key.strategy, "strategy_id": key.strategy,
        "counts": LoggedCounts(0, 0, 0, 0, 0, 0, 0, 0), "est_time_share": 0.0, "headroom": math.nan, "time_headroom": math.nan,
        "trend": NO_TREND, "costs": costs(), "size": None, "program": None, "program_headroom": math.nan, "is_live": False,
        "runs_ahead": NOWHERE, "program_ahead": NOWHERE, "est_nodes": 0.0, "est_stored_entries": 0.0, "nodes_max": None,
        "first_logged_at": None, "last_logged_at": None,
    }  # fmt: skip
    return RankingRow(key, **(estimates | unknown | known))
