"""Who is growing: the nodes a version needs, day by day, and how long until they reach the cap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics import estimates
from analytics.estimates import NOTHING, Estimate
from analytics.findings.runaway_keys import Key, keyed

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse import Warehouse

HISTORY = timedelta(days=14)
"""How far back trends and comparisons look."""
HORIZON_DAYS = 30.0
"""Growth that meets the cap later than this is not called heading for it."""
DAY_ROWS = 10
"""Logged rows a day needs to take part in a trend."""
TREND_DAYS = 4
"""Days a trend needs: through three points almost any line fits."""
_BEYOND = 5


@dataclass(frozen=True, slots=True)
class Trend:
    """How the nodes of one version move.

    Attributes:
        state: ``growing`` (the interval of the slope lies above zero), ``not growing``, ``cannot tell`` (it holds zero, and
            also a growth that meets the cap within `HORIZON_DAYS`) or ``too few days``.
        slope: Nodes per day with its interval.
        quantile: Which daily quantile was followed.
        days: Days that took part.
        level: p99 of nodes as of the last of these days, the growth before it added to older runs.
        days_to_cap: From the last of these days; NaN unless growing. The cap counts a little more than the trace does,
            so the runs may be stopped earlier.
    """

    state: str
    slope: Estimate
    quantile: float
    days: int
    level: Estimate
    days_to_cap: Estimate


NO_TREND = Trend("too few days", NOTHING, math.nan, 0, NOTHING, NOTHING)


def by_day(lake: Warehouse, until: datetime) -> pd.DataFrame:
    """Nodes per run over the days before ``until``.

    Grain: realm, strategy, version, UTC day, nodes_executed, sample_weight; ok runs only (see the query nodes_by_day).
    """
    return lake.run("nodes_by_day", since=until - HISTORY, until=until)


def daily_p99(counts: pd.DataFrame) -> dict[Key, list[dict[str, Any]]]:
    """The p99 of nodes of each day, for pictures: day, estimate; days without rows are not in the list."""
    found: dict[Key, list[dict[str, Any]]] = {}
    for key, rows in keyed(counts):
        for day, own in rows.groupby("day", sort=True):
            nodes, weights = _expanded(own)
            found.setdefault(key, []).append({"day": day, "p99": estimates.quantile(nodes, weights, 0.99)})
    return found


def trends(counts: pd.DataFrame, node_cap: float) -> dict[Key, Trend]:
    """The trend of every version in ``by_day``.

    A robust line through daily quantiles (Theil, 1950; Sen, *JASA* 63, 1968), so that one odd day bends nothing. Followed
    is the highest of p99, p90 and p50 that has five logged rows beyond it on a middling day: the p99 of eighty rows is their
    maximum, and a line through maxima says little.
    """
    return {key: _trend(rows, node_cap) for key, rows in keyed(counts)}


def _trend(rows: pd.DataFrame, node_cap: float) -> Trend:
    import numpy as np
    from scipy import stats

    per_day = rows.groupby("day")["logged_count"].sum()
    per_day = per_day[per_day >= DAY_ROWS]
    if len(per_day) < TREND_DAYS:
        return Trend("too few days", NOTHING, math.nan, len(per_day), NOTHING, NOTHING)
    middling = float(per_day.median())
    q = next((q for q in (0.99, 0.9) if middling * (1 - q) >= _BEYOND), 0.5)
    last = per_day.index.max()
    ages: list[int] = []
    values: list[float] = []
    for day in per_day.index:
        nodes, weights = _expanded(rows[rows["day"] == day])
        ages.append((day - last).days)
        values.append(estimates.quantile(nodes, weights, q).value)
    with np.errstate(invalid="ignore"):  # all days equal: there is no interval, and no growth either
        line = stats.theilslopes(values, ages, alpha=estimates.CONFIDENCE)
    grade = "good" if len(per_day) >= 10 else "rough"
    slope = Estimate(float(line.slope), float(line.low_slope), float(line.high_slope), int(per_day.sum()), grade)
    growing = slope.low > 0
    # Older runs are moved up by the growth since, so that all days together give the level of the last one.
    used = rows[rows["day"].isin(per_day.index)]
    nodes, weights = _expanded(used)
    age = np.repeat([(day - last).days for day in used["day"]], used["logged_count"])
    level = estimates.quantile(nodes - (slope.value * age if growing else 0), weights, 0.99)
    to_cap = _days_to_cap(node_cap, level, slope) if growing else NOTHING
    state = "growing" if growing else "cannot tell" if _may_grow(node_cap, level, slope) else "not growing"
    return Trend(state, slope, q, len(per_day), level, to_cap)


def _may_grow(cap: float, level: Estimate, slope: Estimate) -> bool:
    return slope.high > 0 and (cap - level.value) / slope.high <= HORIZON_DAYS


def _days_to_cap(cap: float, level: Estimate, slope: Estimate) -> Estimate:
    """Room left divided by the slope: the near end takes the high level and the steep slope, the far end the others."""
    high = level.high if math.isfinite(level.high) else level.value
    return Estimate(
        max(cap - level.value, 0.0) / slope.value,
        max(cap - high, 0.0) / slope.high,
        max(cap - level.low, 0.0) / slope.low,
        slope.logged_count,
        "rough",
    )


def _expanded(rows: pd.DataFrame) -> tuple[Any, Any]:
    """One value and one weight per logged run."""
    import numpy as np

    counts = rows["logged_count"].to_numpy()
    return np.repeat(rows["nodes_executed"].to_numpy(dtype=float), counts), np.repeat(
        rows["sample_weight"].to_numpy(dtype=float), counts
    )
