"""Does the difference hold day by day, or is it one day's?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import significance
from analytics.estimates.estimate import TAIL, Estimate
from analytics.findings.rehearsal.beyond import NEEDED, beyond_per_run

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Floats

_LEAST_RUNS = 10
"""Tried logged runs of a day that is compared with others: of fewer the spread is not known."""
_SURE = 2 * TAIL


@dataclass(frozen=True, slots=True)
class DayDifference:
    """One UTC day.

    Attributes:
        day: Which.
        logged_count: Tried logged runs that the log decides.
        per_run: What the program pays beyond, per run.
    """

    day: date
    logged_count: int
    per_run: Estimate


@dataclass(frozen=True, slots=True)
class Drift:
    """The difference per run over the days.

    Attributes:
        days: All days with tried runs, in their order.
        compared: How many of them have runs enough to be compared.
        p: Chance that days which do not differ would differ as much in the log; NaN where fewer than two can be compared, or
            nothing is left to chance.
        apart: Of days that do differ, those that are surely above or below the others together.
    """

    days: tuple[DayDifference, ...]
    compared: int
    p: float
    apart: tuple[DayDifference, ...]

    @property
    def differs(self) -> bool:
        """More than by chance."""
        return self.p < _SURE

    def holds(self, sign: float) -> int:
        """Days whose interval lies wholly on one side of nothing.

        Args:
            sign: Above nothing for days on which more is paid, below for less.
        """
        ends = (day.per_run.low if sign > 0 else -day.per_run.high for day in self.days)
        return sum(end > 0 for end in ends)


def drift(rows: pd.DataFrame, reach: tuple[float, float]) -> Drift:
    """The mean difference of each day, and whether days differ beyond chance.

    Days are tested by Cochran's Q, the sum of their squared distances from the weighted mean in standard errors (W. G. Cochran,
    *Biometrics* 10, 1954), which is chi-square with one degree of freedom less than there are days. A day's standard error is what
    it is where days do not differ: from the variance of all runs, as a day without a changed run has none of its own. Which days
    are apart: each beside the rest, at the false discovery rate of Benjamini and Hochberg (*J. R. Stat. Soc. B* 57, 1995).

    Args:
        rows: Decided ones of `RehearsedRuns.rows`.
        reach: The least and the most that the program may pay beyond what a run was paid.
    """
    if rows.empty:
        return Drift((), 0, math.nan, ())
    when = rows["created_at"].dt.date.to_numpy()
    rows = rows[NEEDED]
    beyond, weight = (rows["low"] - rows["points"]).to_numpy(float), rows["weight"].to_numpy(float)
    days, told, runs = [], [], []
    for day in sorted(set(when)):
        inside = when == day
        days.append(DayDifference(day, int(inside.sum()), beyond_per_run(rows[inside], reach)))
        if days[-1].logged_count >= _LEAST_RUNS:
            told.append(days[-1])
            runs.append(
                weight[inside].sum() ** 2 / (weight[inside] ** 2).sum()
            )  # Kish: rows of one weight that say as much
    middle = float((weight * beyond).sum() / weight.sum())
    with np.errstate(over="ignore"):  # of amounts near the largest number nothing is compared
        variance = float((weight * (beyond - middle) ** 2).sum() / weight.sum())
    if len(told) < 2 or not 0 < variance < math.inf:
        return Drift(tuple(days), len(told), math.nan, ())
    value, precision = np.array([day.per_run.value for day in told]), np.array(runs) / variance
    center = float((precision * value).sum() / precision.sum())
    p = significance.chi_square_tail(float((precision * (value - center) ** 2).sum()), len(told) - 1)
    apart = _apart(value, precision) if p < _SURE else [False] * len(told)
    return Drift(tuple(days), len(told), p, tuple(day for day, is_apart in zip(told, apart, strict=True) if is_apart))


def _apart(value: Floats, precision: Floats) -> list[bool]:
    """Which days differ from all others together."""
    others = precision.sum() - precision
    rest = ((precision * value).sum() - precision * value) / others
    z = np.abs(value - rest) / np.sqrt(1 / precision + 1 / others)
    chances = significance.false_discovery([2 * significance.normal_tail(one) for one in z.tolist()])
    return [chance < _SURE for chance in chances]
