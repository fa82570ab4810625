"""A drift or a step: whether points per run fell or rose little by little, or at a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics import estimates
from analytics.findings.paired import Relative
from analytics.findings.rank_tests import strata

if TYPE_CHECKING:
    from analytics.findings.sides import Ints, Runs

_DAY = 86_400_000_000
_BINS = 6
"""Stretches of equally many runs per day, at most, that a line is drawn through."""
_LEAST_DAYS = 4
_BETTER = 6.0
"""By how much a line's BIC must be smaller than a step's: “strong” evidence (Kass & Raftery, *JASA* 90, 1995)."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Points per run that drift.

    Attributes:
        per_day: Change a day, as a share of the mean of the time.
        days: Length of the time.
    """

    per_day: Relative
    days: float


def slope(runs: Runs, rows: Ints) -> Slope | None:
    """The drift of points per run over some rows, where a straight line explains them better than one step does.

    Means of short stretches, less what their kind of hour explains, are fitted by weighted least squares: by a line, and by the
    best of all steps, which has a place to choose more (Bayesian information criterion; Schwarz, *Ann. Stat.* 6, 1978).

    Args:
        runs: All rows, as one program pays them.
        rows: Row numbers of the time looked at, oldest first.

    Returns:
        None where a step explains them as well, or the time is short.
    """
    rows = rows[runs.paid[rows] & (runs.weight[rows] > 0)]
    if len(rows) < 60:
        return None
    days = (int(runs.time[rows[-1]]) - int(runs.time[rows[0]])) / _DAY
    if days < _LEAST_DAYS:
        return None
    points, weight = runs.points[rows], runs.weight[rows]
    low, high = np.quantile(points, [0.01, 0.99])
    kept = np.clip(points, low, high)  # one huge run is no drift
    middle = float(np.average(kept, weights=weight))
    if middle == 0:
        return None
    left = kept - middle
    kinds = strata(runs.time[rows])
    count = min(len(rows) // 15, int(days * _BINS))
    edges = np.linspace(0, len(rows), count + 1).astype(np.int64)
    time = (runs.time[rows] - int(runs.time[rows[0]])) / _DAY
    which = np.searchsorted(edges, np.arange(len(rows)), side="right") - 1
    design = np.column_stack([kinds == kind for kind in np.unique(kinds)]).astype(float)
    as_line = _fitted(left, np.column_stack([design, time]))
    line_loss = _loss(left, as_line, which, count)
    step_loss = min(
        _loss(
            left, _fitted(left, np.column_stack([design, (np.arange(len(rows)) >= edge).astype(float)])), which, count
        )
        for edge in edges[2:-2].tolist()
    )
    # The step chooses its place besides its height.
    gain = count * math.log(step_loss / line_loss) + math.log(count) if line_loss > 0 else 0.0
    if gain < _BETTER:
        return None
    return _told(left, np.column_stack([design, time]), middle, days)


def _fitted(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    return np.asarray(values - design @ found)


def _loss(values: np.ndarray, left: np.ndarray, which: np.ndarray, count: int) -> float:
    """Squares of the stretches' means of what is left: single runs vary far more than what is looked for."""
    sizes = np.bincount(which, minlength=count)
    means = np.bincount(which, weights=left, minlength=count) / np.maximum(sizes, 1)
    return float((sizes * means**2).sum())


def _told(values: np.ndarray, design: np.ndarray, middle: float, days: float) -> Slope | None:
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    left = values - design @ found
    freedom = len(values) - design.shape[1]
    inverse = np.linalg.pinv(design.T @ design)
    error = math.sqrt(float((left**2).sum()) / freedom * float(inverse[-1, -1]))
    rate, half = float(found[-1]) / abs(middle), estimates.Z_95 * error / abs(middle)
    if abs(rate) <= half:
        return None
    return Slope(Relative(rate, rate - half, rate + half), days)
