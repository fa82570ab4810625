"""Slow though small: strategies whose time is more than their nodes explain, and the fields they read.

Durations include the database queries for analytics fields, nodes do not. Without the queries' own times the log cannot
prove which field is slow; it can say who is slower than its nodes, and what was read that was not read before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analytics.estimates import Estimate
from analytics.findings.runaway_keys import Key, key_of
from analytics.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse import Warehouse

ROWS = 30
"""Logged ok rows a strategy needs to take part."""
TIMES, EXTRA_MS = 3.0, 10.0
"""Slow is more than so many times, and so many milliseconds above, what the nodes explain."""
_LEAST_STRATEGIES = 4

_COLUMNS = ("realm_id", "strategy", "strategy_version", "est_ms_p50", "est_nodes_p50", "explained_ms", "extra_ms", "is_slow",
            "fields", "new_fields", "earlier_version", "earlier_ms_p50", "est_time_share")  # fmt: skip


def slow_fields(lake: Warehouse, league: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Compares each strategy's median time with what its median of nodes explains.

    A robust line (Theil–Sen) through the fleet's medians says what a node costs; it passes no judgement with fewer than
    four strategies of thirty rows.

    Args:
        lake: For the fields that programs read.
        league: The league of the window.
        earlier: A league of the time before it, for versions that came before.

    Returns:
        Grain: realm, strategy, version with at least thirty ok rows. ``fields``: analytics fields the program reads;
        ``new_fields``: those the version before did not read (None when there is none to compare); ``explained_ms``: what
        the nodes explain. Most unexplained time first. Empty when nothing can be compared.
    """
    import pandas as pd
    from scipy import stats

    rows = [row for row in records(league) if row["ok_logged_count"] >= ROWS and _measured(row)]
    if len(rows) < _LEAST_STRATEGIES:
        return pd.DataFrame(columns=list(_COLUMNS))
    line = stats.theilslopes([row["est_ms_p50"].value for row in rows], [row["est_nodes_p50"].value for row in rows])
    read = _fields(lake)
    medians = {
        key_of(row["realm_id"], row["strategy"], row["strategy_version"]): row["est_ms_p50"]
        for table in (earlier, league)
        for row in records(table)
    }
    found = []
    for row in rows:
        key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
        explained = max(float(line.intercept + line.slope * row["est_nodes_p50"].value), 0.5)
        took = row["est_ms_p50"].value
        previous = _previous(key, read)
        before: Estimate | None = medians.get(previous) if previous else None
        fields = read.get(key, ())
        found.append(
            {
                **{name: row[name] for name in _COLUMNS if name in row},
                "explained_ms": explained,
                "extra_ms": took - explained,
                "is_slow": took > TIMES * explained and took - explained > EXTRA_MS,
                "fields": fields,
                "new_fields": tuple(path for path in fields if path not in read[previous]) if previous else None,
                "earlier_version": previous.version if previous else None,
                "earlier_ms_p50": before,
            }
        )
    found.sort(key=lambda row: (not row["is_slow"], -row["extra_ms"]))
    return pd.DataFrame(found, columns=list(_COLUMNS))


def _measured(row: dict[str, Estimate]) -> bool:
    return math.isfinite(row["est_ms_p50"].value) and math.isfinite(row["est_nodes_p50"].value)


def _fields(lake: Warehouse) -> dict[Key, tuple[str, ...]]:
    """Analytics fields of every version that has a definition; versions that read none are in it too."""
    found: dict[Key, tuple[str, ...]] = {}
    known = lake.sql(
        "select realm_id, coalesce(family_name, strategy_id), strategy_version from definitions order by all"
    )
    for realm, strategy, version in known.fetchall():
        found[key_of(realm, strategy, version)] = ()
    for row in records(lake.run("analytics_fields")):
        key = key_of(row["realm_id"], row["family_name"], row["strategy_version"])
        found[key] = (*found.get(key, ()), str(row["path"]))
    return found


def _previous(key: Key, read: dict[Key, tuple[str, ...]]) -> Key | None:
    older = [other for other in read if other.family == key.family and other.version < key.version]
    return max(older, key=lambda other: other.version, default=None)
