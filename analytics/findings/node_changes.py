"""Nodes whose outcome differs most between two groups of runs, corrected for looking at many."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from analytics import differences
from analytics.findings.incident import Side
from analytics.warehouse import Warehouse, records

if TYPE_CHECKING:
    import pandas as pd


def node_changes(lake: Warehouse, realm: str | None, before: Side, after: Side) -> pd.DataFrame:
    """Compare every node that both versions have, by id and type.

    Ids are not stable across versions, so a node here is "the same id in both", and the program diff says what it is.

    Returns:
        Grain: node. ``node_id, type, what`` (``true`` or ``mean``), ``before_value, after_value``, ``before_count,
        after_count`` (logged entries), ``q`` (chance alone, Benjamini–Hochberg), most different first.
    """
    import pandas as pd

    columns = ["node_id", "type", "what", "before_value", "after_value", "before_count", "after_count", "q"]
    if before.strategy_id is None or after.strategy_id is None:
        return pd.DataFrame(columns=columns)
    sides = [
        lake.run(
            "node_outcomes",
            realm=realm,
            strategy=side.strategy_id,
            version=side.strategy_version,
            since=side.since,
            until=side.until + timedelta(microseconds=1),  # the last row is one of the side's
        )
        for side in (before, after)
    ]
    both = sides[0].merge(sides[1], on=["node_id", "type"], suffixes=("_before", "_after"))
    found = []
    for row in records(both):
        tested = _boolean(row) or _number(row)
        if tested:
            found.append({"node_id": row["node_id"], "type": row["type"], **tested})
    frame = pd.DataFrame(found, columns=[*columns[:-1], "p"])
    frame["q"] = differences.adjusted(frame.pop("p").tolist())
    distance = (frame["after_value"] - frame["before_value"]).abs() / frame["before_value"].abs().clip(lower=1e-9)
    return (
        frame.assign(distance=distance).sort_values(["q", "distance"], ascending=[True, False]).drop(columns="distance")
    )


def _boolean(row: dict[str, float]) -> dict[str, object] | None:
    from scipy import stats

    n0, n1 = int(row["boolean_count_before"]), int(row["boolean_count_after"])
    if n0 == 0 or n1 == 0:
        return None
    k0, k1 = int(row["true_count_before"]), int(row["true_count_after"])
    p = float(stats.fisher_exact([[k0, n0 - k0], [k1, n1 - k1]]).pvalue)
    return {
        "what": "true",
        "before_value": k0 / n0,
        "after_value": k1 / n1,
        "before_count": n0,
        "after_count": n1,
        "p": p,
    }


def _number(row: dict[str, float]) -> dict[str, object] | None:
    from scipy import stats

    n0, n1 = int(row["number_count_before"]), int(row["number_count_after"])
    if n0 < 2 or n1 < 2:
        return None
    m0, m1 = float(row["number_mean_before"]), float(row["number_mean_after"])
    s0, s1 = float(row["number_deviation_before"]), float(row["number_deviation_after"])
    if s0 == 0 and s1 == 0:
        p = (
            1.0 if math.isclose(m0, m1, rel_tol=1e-9) else math.exp(-min(n0, n1))
        )  # constants that differ: no chance about it
    else:
        p = float(stats.ttest_ind_from_stats(m0, s0, n0, m1, s1, n1, equal_var=False).pvalue)
    return {"what": "mean", "before_value": m0, "after_value": m1, "before_count": n0, "after_count": n1, "p": p}
