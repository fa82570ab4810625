"""A drift or a step: whether points per run fell or rose little by little, or at a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analytics import estimates
from analytics.findings.rank_tests import ranks, strata
from analytics.ratios import Relative

if TYPE_CHECKING:
    from analytics.findings.sides import Floats, Ints, Runs

_DAY = 86_400_000_000
_BINS = 4
"""Stretches of equally many runs a day, at most, that a line and a step are drawn through."""
_LEAST_RUNS, _LEAST_DAYS, _LEAST_BIN = 60, 4, 15
_BETTER, _STEP = 2.0, -7.0
"""By how much a line's criterion must be smaller than a step's for a drift ("positive" evidence; Kass & Raftery, *JASA* 90, 1995),
and from where on it is surely a step; between them the log does not tell."""

Shape = Literal["drift", "step", "either"]


@dataclass(frozen=True, slots=True)
class Slope:
    """Points per run that drift.

    Attributes:
        per_day: Change a day, as a share of the mean of the time.
        days: Length of the time.
        is_sure: It was no step: where False, the log does not tell the one from the other.
    """

    per_day: Relative
    days: float
    is_sure: bool = True


def shape(time: Ints, values: Floats) -> Shape:
    """Whether a straight line explains some values better than the best of all steps does.

    Means of short stretches, less what their kind of hour explains, are fitted by a line and by a step, which has a place to
    choose more (Bayesian information criterion; Schwarz, *Ann. Stat.* 6, 1978): of logarithms, for what drifts does so by a share
    a day; of ranks and of the values but for the outermost hundredth where some are not positive, and then the less favourable
    of both counts.

    Args:
        time: Microseconds since 1970, in order.
        values: One for each.
    """
    days = (int(time[-1]) - int(time[0])) / _DAY if len(time) else 0.0
    if len(time) < _LEAST_RUNS or days < _LEAST_DAYS:
        return "step"
    if values.min() > 0:
        gain = _gain(time, np.log(values))
    else:
        low, high = np.quantile(values, [0.01, 0.99])
        gain = min(_gain(time, way) for way in (ranks(values), np.clip(values, low, high)))
    return "drift" if gain >= _BETTER else "step" if gain <= _STEP else "either"


def trend_p(time: Ints, values: Floats) -> float:
    """Chance that values which do not drift look as if they did: a line through the days' mean ranks, less their rhythm.

    Days have a character of their own, so that they and not the runs are what varies (t-test of the slope, weighted by runs).
    """
    from scipy import stats

    day = time // _DAY
    if len(time) < _LEAST_RUNS or len(np.unique(day)) < _LEAST_DAYS + 1:
        return 1.0
    left = _left(ranks(values), _rhythm(time))
    names, which, counts = np.unique(day, return_inverse=True, return_counts=True)
    means = np.bincount(which, weights=left) / counts
    x = names - np.average(names, weights=counts)
    spread = float((counts * x**2).sum())
    rate = float((counts * x * means).sum()) / spread
    rest = means - np.average(means, weights=counts) - rate * x
    error = math.sqrt(float((counts * rest**2).sum()) / (len(names) - 2) / spread)
    return float(2 * stats.t.sf(abs(rate) / error, len(names) - 2)) if error > 0 else 1.0


def _gain(time: Ints, values: Floats) -> float:
    """How much smaller the line's criterion is than the step's."""
    days = (int(time[-1]) - int(time[0])) / _DAY
    count = max(4, min(len(time) // _LEAST_BIN, int(days * _BINS)))
    edges = np.linspace(0, len(time), count + 1).astype(np.int64)
    which = np.searchsorted(edges, np.arange(len(time)), side="right") - 1
    design, left = _rhythm(time), values - values.mean()
    line = _loss(_left(left, np.column_stack([design, time / _DAY])), which, count)
    after = np.arange(len(time))
    step = min(
        _loss(_left(left, np.column_stack([design, (after >= edge).astype(float)])), which, count)
        for edge in edges[1:-1].tolist()
    )
    return count * math.log(step / line) + math.log(count) if line > 0 and step > 0 else 0.0


def _rhythm(time: Ints) -> np.ndarray:
    """A column for each kind of hour."""
    kinds = strata(time)
    return np.column_stack([kinds == kind for kind in np.unique(kinds)]).astype(float)


def _left(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    centred = design - design.mean(axis=0)
    found, *_ = np.linalg.lstsq(centred, values, rcond=None)
    return np.asarray(values - centred @ found)


def _loss(left: np.ndarray, which: np.ndarray, count: int) -> float:
    """Squares of the stretches' means of what is left: single runs vary far more than what is looked for."""
    sizes = np.bincount(which, minlength=count)
    means = np.bincount(which, weights=left, minlength=count) / np.maximum(sizes, 1)
    return float((sizes * means**2).sum())


def slope(runs: Runs, rows: Ints) -> Slope | None:
    """How fast points per run drift; None where that may be nothing.

    Args:
        runs: All rows, as one program pays them.
        rows: Row numbers of the time looked at, oldest first.
    """
    rows = rows[runs.paid[rows] & (runs.weight[rows] > 0)]
    if len(rows) < _LEAST_RUNS:
        return None
    time, points = runs.time[rows], runs.points[rows]
    days = (int(time[-1]) - int(time[0])) / _DAY
    low, high = np.quantile(points, [0.01, 0.99])
    kept = np.clip(points, low, high)  # one huge run is no drift
    middle = float(np.average(kept, weights=runs.weight[rows]))
    if middle == 0 or days < 1:
        return None
    design = np.column_stack([_rhythm(time), time / _DAY])
    centred = design - design.mean(axis=0)
    found, *_ = np.linalg.lstsq(centred, kept - kept.mean(), rcond=None)
    left = kept - kept.mean() - centred @ found
    spread = float((left**2).sum()) / (len(rows) - design.shape[1])
    error = math.sqrt(max(spread * float(np.linalg.pinv(centred.T @ centred)[-1, -1]), 0.0))
    rate, half = float(found[-1]) / abs(middle), estimates.Z_95 * error / abs(middle)
    return Slope(Relative(rate, rate - half, rate + half), days) if abs(rate) > half else None
