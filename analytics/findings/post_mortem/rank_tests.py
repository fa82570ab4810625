"""Tests by ranks that leave the rhythm of day and week aside: points are heavy-tailed and mostly zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analytics.findings.post_mortem.groups import Bools, Floats, Ints

_DAY = 86_400_000_000
_HOUR = 3_600_000_000


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
    scores, after, kinds, days = scores[inside], after[inside], kinds[inside], days[inside]
    left = beyond_rhythm(scores, kinds)
    squares = np.bincount(kinds, weights=left**2, minlength=size)
    variance = float(((squares * n_after * (n - n_after))[both] / (n * np.maximum(n - 1, 1))[both]).sum())
    if variance <= 0:
        return 0.0, 1.0
    own, _ = without_group(left, after, kinds)
    z = float((left * after).sum()) / math.sqrt(variance * overdispersion(own, days * 2 + after.astype(np.int64)))
    return z, float(2 * stats.norm.sf(abs(z)))


def without_group(left: Floats, after: Floats, kinds: Ints) -> tuple[Floats, float]:
    """What neither the kind of hour nor the group explains, both fitted together (Frisch & Waugh, *Econometrica* 1, 1933).

    Args:
        left: Scores beyond their rhythm.
        after: One for the rows of the group, zero for the others.
        kinds: Kind of hour.

    Returns:
        The scores left, and how many rows the group is worth beside its kinds of hours: ``Σ (after − its mean in the kind)²``.
    """
    own = beyond_rhythm(after, kinds)
    worth = float((own**2).sum())
    rest: Floats = left - own * (float((own * left).sum()) / worth if worth > 0 else 0.0)
    return rest, worth
