"""Where a series of runs changes, without being told where to look: steps, drifts, levels, and what chance alone does.

Runs are the clock, not hours: a night has few. Values enter as ranks, and the change is fitted together with what the time of
day and the weekend explain, so that a weekend is no change, and a change is no weekend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimators, significance
from analytics.estimates.comparisons import Relative
from analytics.findings.post_mortem.groups import (
    deseasonalise,
    overdispersion,
    ranks,
    ranks_within,
    strata,
    two_groups_p,
    without_group,
)

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Bools, Floats, Ints, Whole
    from analytics.findings.post_mortem.groups import RunColumns

LEAST_ROWS = 10
"""Rows on either side of a change."""
SEED = 20260708

_BLOCKS = 120
"""The whole series is first looked at in so many blocks of equally many rows: a million rows cost what a thousand do."""
_FEW, _MANY = 99, 500
"""Shuffles: first a few, to leave quiet series in peace; then many."""
_RANGE = 7.35
"""Twice the log-likelihood a plausible place may lack of the best, at 95 % (Hansen, *Econometrica* 68, 2000, table 1)."""
_EXACT = 20_000
"""Rows up to which rows are shuffled; of more, sums of many rows are drawn, which are normal."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A stretch of rows that differs from the rows around it.

    Attributes:
        start: Its first row.
        stop: The row after its last; the number of rows while it goes on.
        low, high: First and last row at which it may have started (95 %).
        strength: Squared standard errors between the stretch and the rest; days that differ among themselves count.
        p: Chance that the strongest of all stretches of a series without change is as strong.
    """

    start: int
    stop: int
    low: int
    high: int
    strength: float
    p: float


def change_point(
    scores: Floats, kinds: Whole, days: Whole, earliest: int, needed: int, *, alpha: float
) -> ChangePoint | None:
    """The stretch of rows that differs most from the rest, if chance does not explain it.

    All stretches are compared (circular binary segmentation; Olshen et al., *Biostatistics* 5, 2004): one that ends with the
    series is a step. The chance is that of the strongest stretch of the series shuffled within its kinds of hours, so that
    looking everywhere is paid for; its tail is that of the extreme-value distribution that fits the shuffles (Gumbel).

    Args:
        scores: Bounded values, in time order.
        kinds: Kind of hour of each row.
        days: Day of each row.
        earliest: First row at which the stretch may start.
        needed: It must last beyond this row.
        alpha: Largest chance to report.
    """
    n = len(scores)
    if n < 2 * LEAST_ROWS:
        return None
    left = deseasonalise(scores, kinds)
    spread = float(np.mean(left**2))
    if spread <= 0:
        return None
    edges = np.unique(np.linspace(0, n, min(n, _BLOCKS) + 1).astype(np.int64))
    starts, stops = edges[:-1][edges[:-1] >= earliest], edges[1:]
    if not len(starts):
        return None
    m = stops[None, :] - starts[:, None]
    worth = _worth(kinds, starts, stops)
    valid = (m >= LEAST_ROWS) & (m <= n - LEAST_ROWS) & (stops[None, :] > needed) & (worth >= LEAST_ROWS / 2)
    if not valid.any():
        return None
    scale = np.where(valid, 1 / np.where(valid, worth, 1.0) / spread, 0.0)
    first, last = np.searchsorted(edges, starts), np.arange(1, len(edges))
    table = _squares(np.add.reduceat(left, edges[:-1])[None, :], first, last, scale)[0]
    at = np.unravel_index(int(np.argmax(table)), table.shape)
    rng = np.random.default_rng(SEED)

    def by_chance(count: int) -> Floats:
        """The strongest stretch of shuffled series."""
        found = []
        for begin in range(0, count, 25):
            sums = _shuffled(left, kinds, edges, spread, min(25, count - begin), rng)
            found.append(_squares(sums, first, last, scale).max(axis=(1, 2)))
        return np.concatenate(found)

    drawn = by_chance(_FEW)
    if (drawn >= float(table[at])).mean() > 0.1:
        return None
    start, stop = int(starts[at[0]]), int(stops[at[1]])
    # A step is the simpler story where it is nearly as good.
    if stop < n and float(table[at]) - float(table[at[0], -1]) < _RANGE:
        stop = n
    start, low, high, strength = _placed(left, kinds, days, start, stop, earliest, spread)
    drawn = np.r_[drawn, by_chance(_MANY - _FEW)]
    beta = max(float(drawn.std()) * math.sqrt(6) / math.pi, 1e-9)
    mode = float(drawn.mean()) - 0.5772 * beta
    p = float(-math.expm1(-math.exp(min(-(strength - mode) / beta, 700.0))))
    return ChangePoint(start, stop, low, high, strength, p) if p < alpha else None


def plausible_start(time: Ints, change: ChangePoint) -> tuple[int, int]:
    """Between which times the change lies: from the run before its first plausible row to its last plausible row."""
    return int(time[max(change.low - 1, 0)]), int(time[min(change.high, len(time) - 1)])


def _worth(kinds: Whole, starts: Ints, stops: Ints) -> Floats:
    """How many rows each stretch is worth beside its kinds of hours: ``m − Σ m(kind)²/n(kind)``; see ``without_group``."""
    found = (stops[None, :] - starts[:, None]).astype(float)
    for kind in np.unique(kinds):
        counts = np.r_[0, np.cumsum(kinds == kind)].astype(float)
        found -= (counts[stops][None, :] - counts[starts][:, None]) ** 2 / counts[-1]
    return found


def _squares(sums: Floats, first: Ints, last: Ints, scale: Floats) -> Floats:
    """Squared standard errors of every stretch, for each row of block sums."""
    whole = np.concatenate([np.zeros((len(sums), 1)), np.cumsum(sums, axis=1)], axis=1)
    found: Floats = (whole[:, None, last] - whole[:, first, None]) ** 2 * scale
    return found


def _shuffled(left: Floats, kinds: Whole, edges: Ints, spread: float, count: int, rng: np.random.Generator) -> Floats:
    """Block sums of ``count`` series in which nothing changes but by chance."""
    if len(left) <= _EXACT:
        mixed = np.empty((count, len(left)))
        for kind in np.unique(kinds):
            here = np.flatnonzero(kinds == kind)
            mixed[:, here] = rng.permuted(np.tile(left[here], (count, 1)), axis=1)
        return np.add.reduceat(mixed, edges[:-1], axis=1)
    sums = np.zeros((count, len(edges) - 1))
    for kind in np.unique(kinds):
        n = np.diff(np.r_[0, np.cumsum(kinds == kind)][edges]).astype(float)
        noise = rng.standard_normal((count, len(n))) * np.sqrt(n * spread)
        sums += noise - n * (noise.sum(axis=1, keepdims=True) / n.sum())
    return sums


def _placed(
    left: Floats, kinds: Whole, days: Whole, start: int, stop: int, earliest: int, spread: float
) -> tuple[int, int, int, float]:
    """The best first row, the plausible ones, and the strength, looking at single rows."""
    n = len(left)
    whole = np.r_[0.0, np.cumsum(left)]
    places = np.arange(max(min(earliest, start), stop - n + LEAST_ROWS), stop - LEAST_ROWS + 1)
    worth = _worth(kinds, places, np.array([stop]))[:, 0]
    profile = np.where(worth >= LEAST_ROWS / 2, (whole[stop] - whole[places]) ** 2 / np.maximum(worth, 1) / spread, 0.0)
    best = int(np.argmax(profile))
    start = int(places[best])
    inside = np.zeros(n)
    inside[start:stop] = 1.0
    own, _ = without_group(left, inside, kinds)
    more = overdispersion(own, days * 2 + inside.astype(np.int64))
    # Rows around their own means are what blurs the place; with none of that the place is known to the row.
    within = max(float(np.mean(own**2)), 1e-12)
    near = places[(profile[best] - profile) * spread / within / more <= _RANGE]
    return start, int(near.min()), int(near.max()), float(profile[best]) / more


DAY = 86_400_000_000
_WITHIN = 0.005
"""Chance below which a change is held to be there within single versions too."""
_TAILS = (0.9, 0.97)
"""Runs slower than these quantiles are the tail: one run in ten that turns slow does not move the median."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of some runs, in ways a change may show.

    Attributes:
        usable: The run has it. Grain: logged run.
        scores: Each way: a number per run, bounded, so that one huge value is one row; zero where not usable.
        kinds: Kind of hour.
        days: Day.
    """

    usable: Bools
    scores: tuple[Floats, ...]
    kinds: Whole
    days: Whole


def of_points(runs: RunColumns, region: slice) -> Measure:
    """Points per run: as they are, and within each case (another amount shows in every run of the case)."""
    rows = region.start + np.flatnonzero(runs.paid[region])
    points = runs.points[rows]
    return _measure(runs, runs.paid, rows, (ranks(points), ranks_within(points, runs.case[rows])))


def of_duration(runs: RunColumns, region: slice) -> Measure:
    """Duration of ok runs: as it is, and whether it is in the tail."""
    usable = runs.ok & np.isfinite(runs.duration)
    rows = region.start + np.flatnonzero(usable[region])
    ranked = ranks(runs.duration[rows])
    return _measure(runs, usable, rows, (ranked, *((ranked > tail - 0.5).astype(float) for tail in _TAILS)))


def _measure(runs: RunColumns, usable: Bools, rows: Ints, scores: tuple[Floats, ...]) -> Measure:
    spread = []
    for score in scores:
        whole = np.zeros(len(runs.time))
        whole[rows] = score
        spread.append(whole)
    # A week has eight kinds of hours, and a history some thousand days: of a million rows narrow numbers spare what wide ones take.
    return Measure(usable, tuple(spread), strata(runs.time).astype(np.int8), (runs.time // DAY).astype(np.int32))


def moved_p(measure: Measure, before: Ints, after: Ints) -> tuple[float, float]:
    """Whether two groups of rows differ, in any way: signed standard errors of the clearest, and the chance (Bonferroni)."""
    before, after = before[measure.usable[before]], after[measure.usable[after]]
    rows = np.concatenate([before, after])
    is_after = np.arange(len(rows)) >= len(before)
    found = [two_groups_p(s[rows], is_after, measure.kinds[rows], measure.days[rows]) for s in measure.scores]
    z, p = min(found, key=lambda item: item[1])
    return z, min(1.0, p * len(found))


def change_moment(
    measure: Measure, scope: slice, earliest: int, needed: int, *, alpha: float, rhythm: bool = True
) -> ChangePoint | None:
    """The stretch in which the measure differs most, as row numbers of all runs.

    Args:
        measure: What to look at.
        scope: Rows to look through.
        earliest: First row at which it may start.
        needed: It must last beyond this row.
        alpha: Largest chance to report, for all ways together.
        rhythm: Leave aside what the kind of hour explains.
    """
    rows = scope.start + np.flatnonzero(measure.usable[scope])
    first, beyond = np.searchsorted(rows, [earliest, needed])
    # A stretch that the series begins with is told by its end: what came then is the change.
    first = max(first, LEAST_ROWS)
    best: ChangePoint | None = None
    for scores in measure.scores:
        kinds = measure.kinds[rows] if rhythm else np.zeros(len(rows), dtype=np.int64)
        days = measure.days[rows]
        found = change_point(scores[rows], kinds, days, int(first), int(beyond), alpha=alpha / len(measure.scores))
        if found is not None and (best is None or (found.p, -found.strength) < (best.p, -best.strength)):
            best = found
    if best is None:
        return None
    stop = int(rows[best.stop - 1]) + 1 if best.stop < len(rows) else scope.stop
    return ChangePoint(
        int(rows[best.start]), stop, int(rows[best.low]), int(rows[best.high]), best.strength, best.p
    )  # fmt: skip


def holds_within(measure: Measure, scope: slice, change: ChangePoint, labels: Whole) -> bool:
    """Whether the measure moved at that moment within single versions: if not, the versions explain it."""
    rows = scope.start + np.flatnonzero(measure.usable[scope])
    is_after = (rows >= change.start) & (rows < change.stop)
    ways = [two_groups_p(s[rows], is_after, labels[rows], measure.days[rows]) for s in measure.scores]
    return min(p for _, p in ways) * len(ways) < _WITHIN


def typical_and_slow(rows: pd.DataFrame) -> list[estimators.Estimate]:
    """Median and 95th percentile of the duration of ok runs."""
    ok = (rows["status"] == "ok").to_numpy(bool)
    duration, weight = rows["duration_ms"].to_numpy(float)[ok], rows["sample_weight"].to_numpy(float)[ok]
    return estimators.quantiles(duration, weight, (0.5, 0.95), process=True)


_DAY = 86_400_000_000
_BINS = 4
"""Stretches of equally many runs a day, at most, that a line and a step are drawn through."""
_LEAST_RUNS, _LEAST_DAYS, _LEAST_BIN = 60, 4, 15
_BETTER, _STEP = 2.0, -7.0
"""By how much a line's criterion must be smaller than a step's for a drift ("positive" evidence; Kass & Raftery, *JASA* 90, 1995),
and from where on it is surely a step; between them the log does not tell."""


class Shape(StrEnum):
    """How some values moved."""

    DRIFT = "drift"
    STEP = "step"
    EITHER = "either"


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


def slope_or_step(time: Ints, values: Floats) -> Shape:
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
        return Shape.STEP
    if values.min() > 0:
        gain = _gain(time, np.log(values))
    else:
        low, high = np.quantile(values, [0.01, 0.99])
        gain = min(_gain(time, way) for way in (ranks(values), np.clip(values, low, high)))
    return Shape.DRIFT if gain >= _BETTER else Shape.STEP if gain <= _STEP else Shape.EITHER


def trend_p(time: Ints, values: Floats) -> float:
    """Chance that values which do not drift look as if they did: a line through the days' mean ranks, less their rhythm.

    Days have a character of their own, so that they and not the runs are what varies (t-test of the slope, weighted by runs).
    """
    day = time // _DAY
    if len(time) < _LEAST_RUNS or len(np.unique(day)) < _LEAST_DAYS + 1:
        return 1.0
    left = deseasonalise(ranks(values), strata(time))
    names, which, counts = np.unique(day, return_inverse=True, return_counts=True)
    means = np.bincount(which, weights=left) / counts
    x = names - np.average(names, weights=counts)
    spread = float((counts * x**2).sum())
    rate = float((counts * x * means).sum()) / spread
    rest = means - np.average(means, weights=counts) - rate * x
    error = math.sqrt(float((counts * rest**2).sum()) / (len(names) - 2) / spread)
    return 2 * significance.student_tail(abs(rate) / error, len(names) - 2) if error > 0 else 1.0


def _gain(time: Ints, values: Floats) -> float:
    """How much smaller the line's criterion is than the step's."""
    days = (int(time[-1]) - int(time[0])) / _DAY
    count = max(4, min(len(time) // _LEAST_BIN, int(days * _BINS)))
    edges = np.linspace(0, len(time), count + 1).astype(np.int64)
    which = np.searchsorted(edges, np.arange(len(time)), side="right") - 1
    kinds, after = strata(time), np.arange(len(time))
    left = deseasonalise(values, kinds)
    line = _loss(without_group(left, time / _DAY, kinds)[0], which, count)
    step = min(
        _loss(without_group(left, (after >= edge).astype(float), kinds)[0], which, count)
        for edge in edges[1:-1].tolist()
    )
    return count * math.log(step / line) + math.log(count) if line > 0 and step > 0 else 0.0


def _seasonality(time: Ints) -> np.ndarray:
    """A column for each kind of hour."""
    kinds = strata(time)
    return np.column_stack([kinds == kind for kind in np.unique(kinds)]).astype(float)


def _loss(left: np.ndarray, which: np.ndarray, count: int) -> float:
    """Squares of the stretches' means of what is left: single runs vary far more than what is looked for."""
    sizes = np.bincount(which, minlength=count)
    means = np.bincount(which, weights=left, minlength=count) / np.maximum(sizes, 1)
    return float((sizes * means**2).sum())


def slope(runs: RunColumns, rows: Ints) -> Slope | None:
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
    design = np.column_stack([_seasonality(time), time / _DAY])
    centred = design - design.mean(axis=0)
    found, *_ = np.linalg.lstsq(centred, kept - kept.mean(), rcond=None)
    left = kept - kept.mean() - centred @ found
    spread = float((left**2).sum()) / (len(rows) - design.shape[1])
    error = math.sqrt(max(spread * float(np.linalg.pinv(centred.T @ centred)[-1, -1]), 0.0))
    rate, half = float(found[-1]) / abs(middle), estimators.Z_95 * error / abs(middle)
    return Slope(Relative(rate, rate - half, rate + half), days) if abs(rate) > half else None
