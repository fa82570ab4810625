"""Durations with stalls: one run in hundreds or thousands takes a hundred times as long, and a sample holds one of them or none.

Runs up to twenty times their version's median have a mean that behaves; what takes longer is a stall, and its excess counts apart.
How many stalls were not drawn is predicted from those that were, the version's own and the fleet's: a stalled event loop
does not choose whom it hits. Counts are gamma-Poisson (negative binomial), with an exponential prior around what the
other versions show, one stall more than was seen; so a fleet without any has the rule of three, and versions may differ
much (empirical Bayes; Morris, *JASA* 78, 1983). Sizes are those that were seen, and one of `estimate.REACH` times the mean
that was not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analytics.estimates.estimate import NOTHING, REACH, TAIL, Estimate, graded, unseen_runs, worse
from analytics.estimates.moments import Moments, of_mean, of_total, row_grade

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analytics.estimates.arrays import Floats, Ints


TIMES_MEDIAN = 20.0
"""Of the version's drawn runs (times their mean where most take no time): what takes longer is a stall."""
LONGEST_MS = 10_000.0
"""A run counts for no longer in the time of all runs (query cost_by_strategy), and tells others of no longer stall."""
_TELLING = 30
"""Drawn rows from which on a version's stalls tell of those of others."""
_FEW = 5
"""Stalls drawn below which their number has no smooth distribution: the ends of both parts are then added."""


@dataclass(frozen=True, slots=True)
class Durations:
    """Durations of the logged runs of one version.

    Attributes:
        ordinary: Of each row, of a drawn stall what is typical: so one more or less of them moves the excess alone.
        weights: Of each row.
        counts: Logged runs that a row stands for.
        excess: Of each drawn stall beyond that.
        excess_weights: Its weight.
        drawn: Rows left to chance.
        undrawn: Runs that were not drawn, estimated.
        typical: Mean of the drawn rows without stalls.
        most: What a single run may have taken at most beyond that; `estimate.REACH` times the typical one where nothing tells.
    """

    ordinary: Floats
    weights: Floats
    counts: Ints
    excess: Floats
    excess_weights: Floats
    drawn: int
    undrawn: float
    typical: float
    most: float

    @property
    def whole(self) -> float:
        """Runs that the rows stand for."""
        return float(self.weights @ self.counts)

    def rows(self) -> tuple[Floats, Floats]:
        """What is ordinary, and the weight, of each logged run."""
        import numpy as np

        return np.repeat(self.ordinary, self.counts), np.repeat(self.weights, self.counts)


def split_stalls(
    values: ArrayLike, weights: ArrayLike, counts: ArrayLike | None = None, *, most: float = math.inf
) -> Durations:
    """Durations of one version.

    Args:
        values: Of its rows; NULL, NaN and infinite ones are set aside.
        weights: Their ``sample_weight``.
        counts: How many logged runs a row stands for; one where nothing is said.
        most: A run counts as so much at most.
    """
    import numpy as np

    y, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    times = np.ones(len(y), dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64)
    usable = np.isfinite(y) & (w >= 1)
    y, w, times = np.minimum(y[usable], most), w[usable], times[usable]
    is_drawn = w > 1
    own = np.repeat(y[is_drawn], times[is_drawn])
    middle = (float(np.median(own)) or float(own.mean())) if len(own) else 0.0
    usual = TIMES_MEDIAN * middle if middle > 0 else math.inf
    stalled = is_drawn & (y > usual)
    typical = float(own[own <= usual].mean()) if middle > 0 else 0.0
    return Durations(
        ordinary=np.where(stalled, typical, y),
        weights=w,
        counts=times,
        excess=np.repeat(y[stalled] - typical, times[stalled]),
        excess_weights=np.repeat(w[stalled], times[stalled]),
        drawn=len(own),
        undrawn=float(((w - 1) * times)[is_drawn].sum()),
        typical=typical,
        most=max(min(REACH * typical, most - typical), 0.0),
    )


@dataclass(frozen=True, slots=True)
class Excess:
    """What stalls add to the time of one version's runs.

    Attributes:
        value: By the weights of those that were drawn.
        low, high: 95 % interval, with those that were not.
        stalled: How many were drawn.
    """

    value: float
    low: float
    high: float
    stalled: int


NONE = Excess(0.0, 0.0, 0.0, 0)


def excesses(fleet: Sequence[Durations], before: Sequence[Durations] = ()) -> list[Excess]:
    """What stalls add to each version of a fleet, whose stalls tell of each other.

    Args:
        fleet: The versions.
        before: Of earlier runs, which tell of stalls, too.
    """
    import numpy as np

    if not fleet:
        return []
    drawn, undrawn, most, typical = (
        np.array([float(getattr(one, name)) for one in fleet]) for name in ("drawn", "undrawn", "most", "typical")
    )
    stalled = np.array([len(one.excess) for one in fleet])
    own = [np.array([float((one.excess**power).sum()) for one in fleet]) for power in (1, 2)]
    # Of few rows the median is not known, nor therefore what a stall is: they are told, and tell nothing.
    telling = [one for one in (*fleet, *before) if one.drawn >= _TELLING]
    tells = drawn >= _TELLING
    others = sum(len(one.excess) for one in telling) - np.where(tells, stalled, 0)
    owners = np.repeat([one.typical for one in telling], [len(one.excess) for one in telling])
    lasted = np.minimum(np.concatenate([np.empty(0), *(one.excess for one in telling)]), LONGEST_MS)
    capped = [
        np.array([float((np.minimum(one.excess, LONGEST_MS) ** power).sum()) if one.drawn >= _TELLING else 0.0 for one in fleet])
        for power in (1, 2)
    ]  # fmt: skip
    pools = [
        (np.maximum(every - mine, 0.0) + most**power) / (others + 1)
        for power, every, mine in zip((1, 2), _seen_by(typical, lasted, owners), capped, strict=True)
    ]
    sizes = [(mine + pool) / (stalled + 1) for mine, pool in zip(own, pools, strict=True)]
    # Rows behind the number of stalls: of the others, those that one stall comes in, and the version's own.
    elsewhere = float(sum(one.drawn for one in telling)) - np.where(tells, drawn, 0.0)
    rows = np.maximum(elsewhere / (others + 1) + drawn, 1.0)
    high = own[0] + _compound(1 - TAIL, stalled + 1.0, undrawn / rows, sizes[0], sizes[1])
    # There were those that were drawn, and as many more as make it likely that so many were.
    low = own[0] + _compound(TAIL, stalled, undrawn / rows, own[0] / np.maximum(stalled, 1), sizes[1])
    value = np.array([float((one.excess * one.excess_weights).sum()) for one in fleet])
    low, high = np.minimum(low, value), np.maximum(high, value)
    return [Excess(float(value[at]), float(low[at]), float(high[at]), int(stalled[at])) for at in range(len(fleet))]


def _seen_by(typical: Floats, stalls: Floats, owners: Floats) -> tuple[Floats, Floats]:
    """Sums and sums of squares of the stalls of a fleet, as each version sees them.

    A stall lasts as long as it did, or as many times what is typical where that is more; no multiple is above `estimate.REACH`.

    Args:
        typical: Of each version.
        stalls: Their excess.
        owners: What is typical of those who stalled.
    """
    import numpy as np

    turn = np.maximum(owners, stalls / REACH)  # a slower version sees the multiple
    order = np.argsort(turn, kind="stable")
    turn, lasted = turn[order], stalls[order]
    place = np.searchsorted(turn, typical, side="right")
    found = []
    for power in (1, 2):
        as_times = np.append(0.0, np.cumsum((lasted / turn) ** power))[place] * typical**power
        as_lasted = np.append(np.cumsum((lasted**power)[::-1])[::-1], 0.0)[place]
        found.append(as_times + as_lasted)
    return found[0], found[1]


def _compound(chance: float, shape: Floats, ratio: Floats, size: Floats, square: Floats) -> Floats:
    """A quantile of the sum of a gamma-Poisson number of sizes, by the gamma distribution of the same mean and variance.

    Args:
        chance: Of the quantile.
        shape: Of the gamma distribution of the rate; so many sizes are behind their mean.
        ratio: Runs per row behind the rate.
        size, square: Means of the sizes and their squares.
    """
    import numpy as np
    from scipy import special

    number = shape * ratio
    varied = np.maximum(square - size**2, 0.0)
    mean = number * size
    variance = number * (1 + ratio) * size**2 + number * varied + number**2 * varied / np.maximum(shape, 1.0)
    known = (mean > 0) & (variance > 0)
    mean, variance = np.where(known, mean, 1.0), np.where(known, variance, 1.0)
    found: Floats = np.where(known, variance / mean * special.gammaincinv(mean**2 / variance, chance), 0.0)
    return found


def mean_of(one: Durations, excess: Excess) -> Estimate:
    """Mean per run."""
    found = of_mean(*one.rows(), process=False)
    if found.drawn == 1:
        alone = found.estimate()
        return replace(alone, value=alone.value + excess.value / one.whole)
    return _both(one, excess, found, one.whole)


def total_of(one: Durations, excess: Excess) -> Estimate:
    """Sum over all runs."""
    return _both(one, excess, of_total(*one.rows(), process=False), 1.0)


def _both(one: Durations, excess: Excess, found: Moments, whole: float) -> Estimate:
    """What is ordinary and what stalls add, put together (MOVER; Zou & Donner, *Statistics in Medicine* 27, 2008)."""
    if found.count == 0:
        return NOTHING
    usual = found.value * found.unit
    value = usual + excess.value / whole
    if found.drawn == 0:  # every run is in the log
        return Estimate(value, value, value, found.count, "good", math.inf)
    if one.typical == 0:  # where no run takes time, nothing tells what a stall would
        return Estimate(value, math.nan, math.nan, found.count, "too few", found.effective_count)
    low, high = found.interval()
    if low == high:  # all alike: others may have taken nothing, and stalls are in the excess
        low = usual * (1 - unseen_runs(one.drawn, one.undrawn) / one.whole)
    below, above = usual - low, high - usual
    less, more = (abs(end - excess.value) / whole for end in (excess.low, excess.high))
    low = value - (below + less if 0 < excess.stalled < _FEW else math.hypot(below, less))
    high = value + math.hypot(above, more)
    grade = worse(graded((high - low) / 2, value), row_grade(found.drawn_alike))
    return Estimate(value, low, high, found.count, grade, found.effective_count)
