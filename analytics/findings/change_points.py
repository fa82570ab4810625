"""Where a series of runs changes, without being told where to look, and how likely chance alone makes it look so.

Runs are the clock, not hours: a night has few. Values enter as ranks, because points are heavy-tailed and mostly zero, and
what the time of day or the weekend alone explains is taken out first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

LEAST_ROWS = 10
"""Rows on either side of a change."""
SEED = 20260708

_BLOCKS = 120
"""The whole series is first looked at in so many blocks of equally many rows: a million rows cost what a thousand do."""
_FEW, _MANY = 99, 500
"""Shuffles: first a few, to leave quiet series in peace; then many."""
_RANGE = 7.35
"""Twice the log-likelihood a plausible place may lack of the best, at 95 % (Hansen, *Econometrica* 68, 2000, table 1)."""
_DAY = 86_400_000_000
_HOUR = 3_600_000_000


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


def strata(time: Ints, *, weekends: bool = True) -> Ints:
    """Kind of hour a run falls into: quarter of the day, and weekday or weekend, all UTC.

    Args:
        time: Microseconds since 1970.
        weekends: Tell weekends from weekdays.
    """
    quarter = time // (6 * _HOUR) % 4
    return (quarter + 4 * is_weekend(time) if weekends else quarter).astype(np.int64)


def is_weekend(time: Ints) -> Bools:
    """Saturday and Sunday, UTC."""
    weekend: Bools = (time // _DAY + 3) % 7 >= 5  # 1 January 1970 was a Thursday
    return weekend


def ranks(values: Floats) -> Floats:
    """Ranks from −½ to ½, ties in the middle of theirs."""
    from scipy import stats

    ranked: Floats = (stats.rankdata(values) - 0.5) / max(len(values), 1) - 0.5
    return ranked


def ranks_within(values: Floats, groups: Ints) -> Floats:
    """Ranks of each group by itself: they see a case that pays another amount, and not that more runs reach it."""
    if len(values) == 0:
        return values
    order = np.lexsort((values, groups))
    v, g = values[order], groups[order]
    new_group = np.r_[True, g[1:] != g[:-1]]
    new_value = new_group | np.r_[True, v[1:] != v[:-1]]
    starts, ties = np.flatnonzero(new_group), np.flatnonzero(new_value)
    group_of = np.cumsum(new_group) - 1
    sizes, lengths = np.diff(np.r_[starts, len(v)]), np.diff(np.r_[ties, len(v)])
    middle = np.repeat(ties + lengths / 2, lengths) - starts[group_of]
    found = np.empty(len(v))
    found[order] = middle / sizes[group_of] - 0.5
    return found


def beyond_rhythm(scores: Floats, kinds: Ints) -> Floats:
    """Scores less the mean of their kind of hour."""
    if len(scores) == 0:
        return scores
    counts = np.bincount(kinds)
    means = np.bincount(kinds, weights=scores) / np.maximum(counts, 1)
    left: Floats = scores - means[kinds]
    return left


def overdispersion(scores: Floats, cells: Ints) -> float:
    """How much more the means of cells (days) vary than their rows explain; 1 at least.

    The Pearson statistic over its degrees of freedom (McCullagh & Nelder, *Generalized Linear Models*, 1989, section 4.5):
    users who play on the same day, and days that have a character of their own, make rows say less than their number.
    """
    _, numbers, counts = np.unique(cells, return_inverse=True, return_counts=True)
    spread = float(np.var(scores))
    usable = counts >= 5
    if spread <= 0 or usable.sum() < 4:
        return 1.0
    means = np.bincount(numbers, weights=scores)[usable] / counts[usable]
    n = counts[usable]
    middle = float((n * means).sum() / n.sum())
    return max(1.0, float((n * (means - middle) ** 2).sum()) / spread / (int(usable.sum()) - 1))


def two_groups_p(scores: Floats, is_after: Bools, kinds: Ints, days: Ints) -> tuple[float, float]:
    """Whether two groups differ at a place known beforehand: ranks, compared within the same kinds of hour.

    The stratified rank sum (van Elteren, *Bull. Int. Stat. Inst.* 37, 1960) with the ranks of all rows, its permutation
    variance, and the overdispersion of days within the groups.

    Returns:
        The signed standard errors, and the two-sided chance; (0, 1) where no kind of hour has rows of both.
    """
    from scipy import stats

    if len(scores) == 0:
        return 0.0, 1.0
    size = int(kinds.max()) + 1
    after = is_after.astype(float)
    n, n_after = np.bincount(kinds, minlength=size), np.bincount(kinds, weights=after, minlength=size)
    both = (n_after > 0) & (n_after < n)
    inside = both[kinds]
    if not inside.any():
        return 0.0, 1.0
    left = beyond_rhythm(scores, kinds)
    squares = np.bincount(kinds, weights=left**2, minlength=size)
    variance = (squares * n_after * (n - n_after))[both] / (n * np.maximum(n - 1, 1))[both]
    whole = float(left[inside & is_after].sum())
    if variance.sum() <= 0:
        return 0.0, 1.0
    groups = is_after[inside].astype(np.int64)
    own = left[inside] - np.where(
        groups == 1, left[inside & is_after].mean(), left[inside & ~is_after].mean()
    )  # fmt: skip
    inflated = float(variance.sum()) * overdispersion(own, days[inside] * 2 + groups)
    z = whole / math.sqrt(inflated)
    return z, float(2 * stats.norm.sf(abs(z)))


def change_point(scores: Floats, days: Ints, earliest: int, needed: int, *, alpha: float) -> ChangePoint | None:
    """The stretch of rows that differs most from the rest, if chance does not explain it.

    All stretches are compared (circular binary segmentation; Olshen et al., *Biostatistics* 5, 2004): one that ends with the
    series is a step. The chance is that of the strongest stretch of the shuffled series, so that looking everywhere
    is paid for; its tail is taken from the extreme-value distribution that the shuffles fit (Gumbel).

    Args:
        scores: In time order, without rhythm.
        days: Day of each row.
        earliest: First row at which the stretch may start.
        needed: It must last beyond this row.
        alpha: Largest chance to report.
    """
    n = len(scores)
    if n < 2 * LEAST_ROWS:
        return None
    scores = scores - scores.mean()
    spread = float(np.mean(scores**2))
    if spread <= 0:
        return None
    edges = np.unique(np.linspace(0, n, min(n, _BLOCKS) + 1).astype(np.int64))
    starts, stops = edges[:-1][edges[:-1] >= min(earliest, n)], edges[1:]
    m = (stops[None, :] - starts[:, None]).astype(float)
    valid = (m >= LEAST_ROWS) & (m <= n - LEAST_ROWS) & (stops[None, :] > needed)
    if not valid.any():
        return None
    scale = np.where(valid, 1 / np.where(valid, m * (1 - m / n), 1.0) / spread, 0.0)
    sums = np.add.reduceat(scores, edges[:-1])
    first, last = np.searchsorted(edges, starts), np.arange(1, len(edges))
    table = _squares(sums[None, :], first, last, scale)[0]
    at = np.unravel_index(int(np.argmax(table)), table.shape)
    top = float(table[at])
    rng = np.random.default_rng(SEED)
    shuffled = _largest(sums, first, last, scale, _FEW, rng)
    if (shuffled >= top).mean() > 0.1:
        return None
    start, stop = int(starts[at[0]]), int(stops[at[1]])
    # A step is the simpler story where it is nearly as good.
    step = float(table[at[0], -1])
    if stop < n and top - step < _RANGE:
        stop = n
    start, low, high, strength = _placed(scores, days, start, stop, earliest, spread)
    shuffled = np.r_[shuffled, _largest(sums, first, last, scale, _MANY - _FEW, rng)]
    beta = max(float(shuffled.std()) * math.sqrt(6) / math.pi, 1e-9)
    mode = float(shuffled.mean()) - 0.5772 * beta
    p = float(-math.expm1(-math.exp(min(-(strength - mode) / beta, 700.0))))
    return ChangePoint(start, stop, low, high, strength, p) if p < alpha else None


def plausible_start(time: Ints, found: ChangePoint) -> tuple[int, int]:
    """Between which times the change lies: from the run before its first plausible row to its last plausible row."""
    return int(time[max(found.low - 1, 0)]), int(time[min(found.high, len(time) - 1)])


def _squares(sums: Floats, first: Ints, last: Ints, scale: Floats) -> Floats:
    """Squared standard errors of every stretch, for each row of block sums."""
    whole = np.concatenate([np.zeros((len(sums), 1)), np.cumsum(sums, axis=1)], axis=1)
    found: Floats = (whole[:, None, last] - whole[:, first, None]) ** 2 * scale
    return found


def _largest(sums: Floats, first: Ints, last: Ints, scale: Floats, count: int, rng: np.random.Generator) -> Floats:
    found = []
    for begin in range(0, count, 25):
        mixed = rng.permuted(np.tile(sums, (min(25, count - begin), 1)), axis=1)
        found.append(_squares(mixed, first, last, scale).max(axis=(1, 2)))
    return np.concatenate(found)


def _placed(
    scores: Floats, days: Ints, start: int, stop: int, earliest: int, spread: float
) -> tuple[int, int, int, float]:
    """The best first row, the plausible ones, and the strength, looking at single rows."""
    n = len(scores)
    whole = np.r_[0.0, np.cumsum(scores)]
    places = np.arange(min(earliest, start), stop - LEAST_ROWS + 1)
    m = stop - places
    places, m = places[m <= n - LEAST_ROWS], m[m <= n - LEAST_ROWS]
    profile = (whole[stop] - whole[places]) ** 2 / (m * (1 - m / n)) / spread
    best = int(np.argmax(profile))
    start = int(places[best])
    inside = np.zeros(n, dtype=bool)
    inside[start:stop] = True
    own = scores - np.where(inside, scores[inside].mean(), scores[~inside].mean())
    more = overdispersion(own, days * 2 + inside)
    # Rows around their own means are what blurs the place; with none of that the place is known to the row.
    within = max(float(np.mean(own**2)), 1e-12)
    near = places[(profile[best] - profile) * spread / within / more <= _RANGE]
    return start, int(near.min()), int(near.max()), float(profile[best]) / more
