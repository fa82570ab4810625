"""Chances of what was seen, of the tests that a report makes.

The numbers are scipy's: its functions below `scipy.special` are asked as ``scipy.stats`` asks them, and what ``scipy.stats`` does
around them stands here, for importing it takes longer than all the tests of a report. `tests/estimates/test_significance.py`
compares each with it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from analytics.estimates.arrays import Array, Bools, Floats

_SAME_CHANCE = 1 + 1e-7
"""How much more likely a count may be and still be taken as no more likely than the one seen, against rounding."""
_SAME_TABLE = 1 + 1e-14
"""The same of tables."""


# ---- tails ---------------------------------------------------------------------------------------------------------------


def normal_tail(z: float) -> float:
    """Chance of a standard normal variable above ``z`` (`scipy.stats.norm.sf`)."""
    from scipy import special

    return float(special.ndtr(-z))


def normal_exceeded(chance: float) -> float:
    """What a standard normal variable exceeds with that chance (`scipy.stats.norm.isf`)."""
    from scipy import special

    return -float(special.ndtri(chance))


def student_tail(t: float, freedom: float) -> float:
    """Chance of Student's t above ``t`` (`scipy.stats.t.sf`)."""
    from scipy import special

    return float(special.stdtr(freedom, -t))


def student_log_tail(t: Floats, freedom: Floats) -> Floats:
    """Logarithms of `student_tail`, for many; minus infinity where that is too small for a number (`scipy.stats.t.logsf`)."""
    import numpy as np
    from scipy import special

    with np.errstate(divide="ignore"):
        found: Floats = np.log(special.stdtr(freedom, -t))
    return found


def chi_square_tail(value: float, freedom: float) -> float:
    """Chance of chi-square above a value (`scipy.stats.chi2.sf`)."""
    from scipy import special

    return float(special.chdtrc(freedom, value))


# ---- counts --------------------------------------------------------------------------------------------------------------


class _Counts(NamedTuple):
    """The binomial and the hypergeometric distribution, where both count something: chance of a count, of it or fewer, of more."""

    binomial: Callable[[int, int, float], float]
    binomial_below: Callable[[int, int, float], float]
    binomial_above: Callable[[int, int, float], float]
    tables: Callable[[int, int, int, int], float]
    tables_below: Callable[[int, int, int, int], float]
    tables_above: Callable[[int, int, int, int], float]


@functools.cache
def _counts() -> _Counts:
    """As ``scipy.stats`` has them from the library Boost; from itself where a later scipy has other names for them."""
    try:
        from scipy.special._ufuncs import (
            _binom_cdf,
            _binom_pmf,
            _binom_sf,
            _hypergeom_cdf,
            _hypergeom_pmf,
            _hypergeom_sf,
        )
    except ImportError:
        return _public_counts()
    return _Counts(_binom_pmf, _binom_cdf, _binom_sf, _hypergeom_pmf, _hypergeom_cdf, _hypergeom_sf)


def _public_counts() -> _Counts:
    from scipy.stats import binom, hypergeom

    def turned(distribution: Callable[..., Any]) -> Callable[[int, int, int, int], float]:
        return lambda count, good, drawn, size: float(distribution(count, size, good, drawn))

    return _Counts(binom.pmf, binom.cdf, binom.sf, turned(hypergeom.pmf), turned(hypergeom.cdf), turned(hypergeom.sf))


class _Distribution:
    """Of a count between two ends, with sure answers beyond them.

    Args:
        chance: Of a count between the ends.
        below: Of it or fewer.
        above: Of more.
        ends: The least and the most.
    """

    def __init__(
        self,
        chance: Callable[[int], float],
        below: Callable[[int], float],
        above: Callable[[int], float],
        ends: tuple[int, int],
    ) -> None:
        self._chance, self._below, self._above, (self._least, self._most) = chance, below, above, ends

    def chance(self, count: int) -> float:
        """Of this count."""
        return _clipped(self._chance(count)) if self._least <= count <= self._most else 0.0

    def below(self, count: int) -> float:
        """Of this count or fewer."""
        return float(count >= self._most) if not self._least <= count < self._most else _clipped(self._below(count))

    def above(self, count: int) -> float:
        """Of more than this count."""
        return float(count < self._least) if not self._least <= count < self._most else _clipped(self._above(count))


def _clipped(chance: float) -> float:
    return min(max(float(chance), 0.0), 1.0)


def _binomial(n: int, p: float) -> _Distribution:
    if n < 1 or not 0 <= p <= 1:
        raise ValueError(f"{n} trials with chance {p}")
    counts = _counts()
    return _Distribution(
        lambda k: counts.binomial(k, n, p),
        lambda k: counts.binomial_below(k, n, p),
        lambda k: counts.binomial_above(k, n, p),
        (0, n),
    )


def binomial_more(k: int, n: int, p: float) -> float:
    """Chance of ``k`` or more of ``n`` (`scipy.stats.binomtest`, ``greater``).

    Args:
        k: Seen.
        n: Of so many, one at least.
        p: Chance of each.

    Raises:
        ValueError: ``p`` is no chance, or ``n`` is none.
    """
    return _binomial(n, p).above(k - 1)


def binomial_test(k: int, n: int, p: float) -> float:
    """Chance of a count that is as unlikely as ``k`` of ``n``, on either side (`scipy.stats.binomtest`).

    Args:
        k: Seen.
        n: Of so many, one at least.
        p: Chance of each.

    Raises:
        ValueError: ``p`` is no chance, or ``n`` is none.
    """
    one = _binomial(n, p)
    limit = one.chance(k) * _SAME_CHANCE
    if k == p * n:
        return 1.0
    if k < p * n:
        other = _last_below(lambda count: -one.chance(count), -limit, math.ceil(p * n), n)
        beyond = n - other + int(limit == one.chance(other))
        return min(1.0, one.below(k) + one.above(n - beyond))
    other = _last_below(one.chance, limit, 0, math.floor(p * n))
    return min(1.0, one.below(other) + one.above(k - 1))


def fisher_test(table: Sequence[Sequence[int]]) -> float:
    """Chance of a table of two rows and two columns that is as unlikely as this one, its sums given (`scipy.stats.fisher_exact`).

    Fisher, *Statistical Methods for Research Workers*, 1934, section 21.02; two-sided by the tables' chances.

    Args:
        table: Counts, not negative.
    """
    (a, b), (c, d) = ((int(value) for value in row) for row in table)
    if 0 in (a + b, c + d, a + c, b + d):
        return 1.0
    first, second, drawn = a + b, c + d, a + c
    size, counts = first + second, _counts()
    one = _Distribution(
        lambda k: counts.tables(k, first, drawn, size),
        lambda k: counts.tables_below(k, first, drawn, size),
        lambda k: counts.tables_above(k, first, drawn, size),
        (max(0, drawn - second), min(first, drawn)),
    )
    mode = int((drawn + 1) * (first + 1) / (size + 2))
    exact, most = one.chance(a), one.chance(mode)
    limit = exact * _SAME_TABLE
    if abs(exact - most) / max(exact, most) <= _SAME_TABLE - 1:
        return 1.0
    if a < mode:
        lower = one.below(a)
        if one.chance(drawn) > limit:
            return lower
        return min(1.0, lower + one.above(_last_below(lambda count: -one.chance(count), -limit, mode, drawn)))
    upper = one.above(a - 1)
    if one.chance(0) > limit:
        return upper
    return min(1.0, upper + one.below(_last_below(one.chance, limit, 0, mode)))


def _last_below(rising: Callable[[int], float], limit: float, low: int, high: int) -> int:
    """The last count where a rising function is not above a limit; one before ``low`` where none is."""
    while low < high:
        middle = low + (high - low) // 2
        value = rising(middle)
        if value == limit:
            return middle
        if value < limit:
            low = middle + 1
        else:
            high = middle - 1
    return low if rising(low) <= limit else low - 1


def contingency_test(table: Array | Sequence[Sequence[float]], *, corrected: bool = True) -> float:
    """Chance that the rows of a table have the same shares of its columns (`scipy.stats.chi2_contingency`).

    Pearson, *Philosophical Magazine* 50, 1900.

    Args:
        table: Counts; no row and no column of zeros only.
        corrected: With two rows and two columns, counts are moved by up to a half towards what is expected (Yates, *JRSS* Suppl.
            1, 1934).

    Raises:
        ValueError: A row or column holds nothing.
    """
    import numpy as np

    seen: Floats = np.asarray(table, dtype=np.float64)
    expected = seen.sum(axis=1, keepdims=True) * seen.sum(axis=0, keepdims=True) / seen.sum()
    if not (expected > 0).all():
        raise ValueError("a row or column of the table holds nothing")
    freedom = (seen.shape[0] - 1) * (seen.shape[1] - 1)
    if freedom == 0:
        return 1.0
    if freedom == 1 and corrected:
        apart = expected - seen
        seen = seen + np.minimum(0.5, np.abs(apart)) * np.sign(apart)
    return chi_square_tail(float(((seen - expected) ** 2 / expected).ravel().sum()), freedom)


# ---- order ---------------------------------------------------------------------------------------------------------------


def mean_ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values have the mean of theirs (`scipy.stats.rankdata`). All NaN where one is."""
    import numpy as np

    if np.isnan(values).any():
        return np.full(len(values), np.nan)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    is_new: Bools = np.ones(len(values), dtype=np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(is_new)
    lengths = np.diff(starts, append=len(values))
    found: Floats = np.empty(len(values))
    found[order] = np.repeat(starts + (lengths + 1) / 2, lengths)
    return found


def false_discovery(p_values: Sequence[float]) -> list[float]:
    """Chances of many tests, each as if it were the only one (`scipy.stats.false_discovery_control`).

    Benjamini & Hochberg, *JRSS B* 57, 1995: the smallest ``p·m/i`` of the ``i``-th smallest of ``m`` and those above it.

    Raises:
        ValueError: One is no chance.
    """
    import numpy as np

    given: Floats = np.asarray(p_values, dtype=np.float64)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("chances lie between 0 and 1")
    if len(given) < 2:
        return [float(one) for one in given]
    order = np.argsort(given)
    scaled = given[order] * (len(given) / np.arange(1.0, len(given) + 1))
    found: Floats = np.empty(len(given))
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return [float(one) for one in np.clip(found, 0.0, 1.0)]
