"""Where a series of runs changes, without being told where to look, and how likely chance alone makes it look so.

Runs are the clock, not hours: a night has few. Values enter as ranks, and the change is fitted together with what the time of
day and the weekend explain, so that a weekend is no change, and a change is no weekend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.findings.rank_tests import beyond_rhythm, overdispersion, without_group

if TYPE_CHECKING:
    from analytics.findings.sides import Floats, Ints

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
    scores: Floats, kinds: Ints, days: Ints, earliest: int, needed: int, *, alpha: float
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
    left = beyond_rhythm(scores, kinds)
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


def plausible_start(time: Ints, found: ChangePoint) -> tuple[int, int]:
    """Between which times the change lies: from the run before its first plausible row to its last plausible row."""
    return int(time[max(found.low - 1, 0)]), int(time[min(found.high, len(time) - 1)])


def _worth(kinds: Ints, starts: Ints, stops: Ints) -> Floats:
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


def _shuffled(left: Floats, kinds: Ints, edges: Ints, spread: float, count: int, rng: np.random.Generator) -> Floats:
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
    left: Floats, kinds: Ints, days: Ints, start: int, stop: int, earliest: int, spread: float
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
