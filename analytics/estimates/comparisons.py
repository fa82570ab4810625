"""How two groups of runs differ: means, failure rates, and the price of looking at many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analytics.estimates import significance
from analytics.estimates.estimate import Z_95, Estimate, worse
from analytics.estimates.moments import Moments, of_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Relative:
    """A change as a share of what it is a change of; all NaN where that may be zero.

    Attributes:
        value: The share; 0.5 is half more.
        low, high: 95 % interval.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """As plain JSON values; what is not finite becomes ``None``."""
        return {
            name: value if math.isfinite(value) else None
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


UNKNOWN = Relative(math.nan, math.nan, math.nan)


def relative_change(a: Estimate, b: Estimate, *, is_negative_possible: bool = True) -> Relative:
    """From ``a`` to ``b``, two independent estimates, as a share of ``|a|``.

    The limits are those ``R`` of which ``b − R·a`` may just be zero, its interval put together from the two (MOVER-R; Donner & Zou,
    *Statistical Methods in Medical Research* 21, 2012; of symmetric intervals it is Fieller's theorem, *JRSS B* 16, 1954). It
    leaves out zero exactly where ``between`` does.

    Args:
        a, b: Before and after.
        is_negative_possible: Otherwise no change goes below −100 %.
    """
    if a.value < 0:  # the same of both with the other sign, where less is more
        turned = relative_change(a.negated(), b.negated())
        return Relative(-turned.value, -turned.high, -turned.low)
    ratio = _quotient(b, a, 0.0)
    return _above(Relative(ratio.value - 1, ratio.low - 1, ratio.high - 1), is_negative_possible)


def share_of(change: Estimate, of: Estimate, shared: float, *, is_negative_possible: bool = True) -> Relative:
    """A change as a share of ``|of|``, where one error is in both.

    Args:
        change: Of some runs beyond an earlier mean that is uncertain, too.
        of: What it is a share of.
        shared: Squared half width of what enters the change negatively and ``of`` positively.
        is_negative_possible: Otherwise no change goes below −100 %.
    """
    if of.value < 0:
        turned = share_of(change.negated(), of.negated(), shared)
        return Relative(-turned.value, -turned.high, -turned.low)
    return _above(_quotient(change, of, shared), is_negative_possible)


def _above(found: Relative, is_negative_possible: bool) -> Relative:
    return found if is_negative_possible or not found.low < -1 else replace(found, low=-1.0)


def _quotient(top: Estimate, of: Estimate, shared: float) -> Relative:
    """``top / of`` for a positive ``of``."""
    if not (of.low > 0 and all(map(math.isfinite, (top.low, top.value, top.high, of.value, of.high)))):
        return UNKNOWN
    over, under = of.high - of.value, of.value - of.low
    down, up = top.value - top.low, top.high - top.value
    both = min(shared, min(down, up) * min(over, under))  # no correlation is above one
    low = _limit(top.value, down, of.value, over, under, both)
    high = -_limit(-top.value, up, of.value, over, under, -both)
    return Relative(top.value / of.value, low, high)


def _limit(top: float, half: float, of: float, over: float, under: float, shared: float) -> float:
    """The ``R`` that solves ``top − R·of = √(half² + R²·e² + 2R·shared)``; for a positive one ``e`` is the upper half of ``of``."""
    is_positive = top >= half
    error = over if is_positive else under
    a, b, c = (of - error) * (of + error), top * of + shared, (top - half) * (top + half)
    root = math.sqrt(max(b * b - a * c, 0.0))
    if is_positive or top > 0:  # the form that loses no digits, and holds where ``of`` may be twice as much
        return c / (b + root) if b + root > 0 else 0.0
    return (b - root) / a


@dataclass(frozen=True, slots=True)
class Difference:
    """How two groups differ.

    Attributes:
        change: ``b − a`` with its interval.
        relative: The change as a share of ``a``; NaN when ``a`` may be zero, so that only the change itself can be told.
        relative_low, relative_high: Interval of the relative change, for which both are uncertain; see ``ratios``.
        is_significant: The interval of the change excludes zero, and each side has ten rows at least.
    """

    change: Estimate
    relative: float
    relative_low: float
    relative_high: float
    is_significant: bool

    @property
    def words(self) -> str:
        """``more``, ``less``, ``no significant change``, or ``too few to compare``."""
        if not math.isfinite(self.change.low):
            return "too few to compare"
        if not self.is_significant:
            return "no significant change"
        return "more" if self.change.value > 0 else "less"


def difference(a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike]) -> Difference:
    """Change of the mean from group ``a`` to group ``b``, each (values, weights).

    The runs count as samples of what each version does, so that a change that chance alone explains is not called one.
    See ``between`` for the interval.
    """
    first, second = of_mean(*a, process=True), of_mean(*b, process=True)
    return difference_of_moments(first, second, is_negative_possible=bool(_least(a) < 0 or _least(b) < 0))


def difference_of_moments(a: Moments, b: Moments, *, is_negative_possible: bool = True) -> Difference:
    """``difference`` of two means whose moments are known; both of the process."""
    before, after = _beside(a, b).estimate(), _beside(b, a).estimate()
    return _apart(before, after, least=2, is_negative_possible=is_negative_possible)


def widened(found: Estimate, half: float) -> Estimate:
    """The same with an interval of such a half width at least, as lopsided as it was: what its rows share makes them say less."""
    own = (found.high - found.low) / 2
    if not (math.isfinite(own) and math.isfinite(half)) or half <= own:
        return found
    if own == 0:
        return replace(found, low=found.value - half, high=found.value + half)
    times = half / own
    return replace(
        found,
        low=found.value - times * (found.value - found.low),
        high=found.value + times * (found.high - found.value),
    )


def _least(side: tuple[ArrayLike, ArrayLike]) -> float:
    """The smallest value of a group."""
    import numpy as np

    values = np.asarray(side[0], dtype=float)
    return float(np.min(values, where=np.isfinite(values), initial=0.0))


def _beside(one: Moments, other: Moments) -> Moments:
    """Rows that are all alike beside rows that are not: few rows may have missed what the others show, so they vary as these do."""
    if not one.are_alike or one.drawn < 2 or other.are_alike or other.drawn < 2:
        return one
    ratio = other.unit / one.unit
    lent = other.variance * other.effective_count / one.effective_count * ratio * ratio
    return replace(one, variance=lent, third=0.0, shared=0.0, fourth=0.0)


def between(a: Estimate, b: Estimate, *, is_negative_possible: bool = True) -> Difference:
    """Change from one estimate to another of independent groups: failure rates, shares, quantiles, runs.

    The interval is put together from the two, so that it is as lopsided as they are (MOVER; Zou & Donner, *Statistics in
    Medicine* 27, 2008; of shares it is Newcombe's tenth method, *Statistics in Medicine* 17, 1998). For what versions do, make
    both with ``process=True``.

    Args:
        a, b: Before and after.
        is_negative_possible: Otherwise the relative change does not go below −100 %.
    """
    return _apart(a, b, least=1, is_negative_possible=is_negative_possible)


def _apart(a: Estimate, b: Estimate, least: int, *, is_negative_possible: bool) -> Difference:
    change = b.value - a.value
    n, smaller = a.logged_count + b.logged_count, min(a.logged_count, b.logged_count)
    low = change - math.hypot(b.value - b.low, a.high - a.value)
    high = change + math.hypot(b.high - b.value, a.value - a.low)
    if smaller < least or not (math.isfinite(low) and math.isfinite(high)):
        return difference_of(Estimate(change, math.nan, math.nan, n, "too few"), UNKNOWN, is_significant=False)
    half, size = (high - low) / 2, (abs(a.value) + abs(b.value)) / 2
    # Judged against what it is a change of: ± 10 % is enough to act on, ± 50 % is not known at all.
    grade = "good" if half <= 0.1 * size else "rough" if half <= 0.5 * size else "too few"
    grade = worse(grade, "too few" if "too few" in (a.grade, b.grade) else "good")
    found = Estimate(change, low, high, n, grade, min(a.effective_count, b.effective_count)).as_difference()
    relative = relative_change(a, b, is_negative_possible=is_negative_possible)
    return difference_of(found, relative, is_significant=smaller >= 10 and (low > 0 or high < 0))


def difference_of(change: Estimate, relative: Relative, *, is_significant: bool) -> Difference:
    """A difference that was estimated, with its share of the earlier number."""
    return Difference(change, relative.value, relative.low, relative.high, is_significant)


def rate_change_p(failed: tuple[int, int], all_runs: tuple[Estimate, Estimate]) -> float:
    """How likely chance alone makes two failure rates differ this much, two-sided.

    The log ratio of the rates has variance ``(1 − r)/f`` from the failures of each side (binomial, delta method; Agresti,
    *Categorical Data Analysis*, 2013, section 3.1) and ``Var(N)/N²`` from the estimated runs. Where a side has fewer than
    five failures, the exact conditional binomial test with the less favourable end of the intervals of the runs.

    Args:
        failed: Failures of both sides, counted.
        all_runs: Estimated runs of both sides.
    """
    if sum(failed) == 0 or not all(runs.value > 0 for runs in all_runs):
        return 1.0  # also where nobody knows how many ran
    if min(failed) < 5:
        least = all_runs[1].low / (all_runs[0].high + all_runs[1].low)
        most = all_runs[1].high / (all_runs[0].low + all_runs[1].high) if all_runs[1].high < math.inf else 1.0
        shares = (least, most)
        if least <= failed[1] / sum(failed) <= most:
            return 1.0
        return max(significance.binomial_test(failed[1], sum(failed), share) for share in shares)
    rates = [min(f / runs.value, 1.0) for f, runs in zip(failed, all_runs, strict=True)]
    variance = sum((1 - rate) / f for rate, f in zip(rates, failed, strict=True)) + sum(
        ((runs.high - runs.low) / (2 * Z_95) / runs.value) ** 2 for runs in all_runs
    )
    z = abs(math.log(rates[1] / rates[0])) / math.sqrt(variance) if variance > 0 else math.inf
    return 2 * significance.normal_tail(z) if rates[0] != rates[1] else 1.0


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Chance alone, corrected for looking at many: Benjamini & Hochberg (*JRSS B* 57, 1995)."""
    return significance.false_discovery(p_values)
