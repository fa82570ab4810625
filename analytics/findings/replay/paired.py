"""Two programs on the same runs: the share by which one pays more, and which cases it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimate, estimators
from analytics.estimates.comparisons import Relative
from analytics.estimates.estimators import Estimate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

_MOST_MOVES = 20
_ALIKE = 10
"""Runs that must all be alike (paid the same share more, the same difference), for that to be taken for what the programs do."""
_UNSEEN = 3.0
"""Of ``n`` rows that are alike, up to 3/n of the runs may be otherwise (95 %; Hanley & Lippman-Hand, *JAMA* 249, 1983)."""
_USUAL = 0.9
"""Share of a group's runs with one amount, for it to be the group's amount."""


class Move(StrEnum):
    """How two programs differ in what they make of a run."""

    AMOUNT = "amount"
    ROUTE = "route"
    FAILS = "fails"


@dataclass(frozen=True, slots=True)
class Moved:
    """Runs that two programs pay differently, by the cases in which both end them.

    Attributes:
        move: ``amount``: the same case pays another amount. ``route``: another case. ``fails``: the other program fails there.
        was: Case in which the other program ends them; None for none. Where that is not known, the case in which they were paid.
        now: Case in which they were paid.
        logged_count: Logged runs.
        difference: Estimated points, paid less what the other program pays.
        amount_was, amount_now: Their amounts, where nearly all have one; NaN otherwise.
    """

    move: Move
    was: str | None
    now: str | None
    logged_count: int
    difference: Estimate
    amount_was: float
    amount_now: float

    @property
    def reversed(self) -> Moved:
        """The same with the programs in each other's place."""
        return replace(
            self,
            was=self.now,
            now=self.was,
            difference=self.difference.negated(),
            amount_was=self.amount_now,
            amount_now=self.amount_was,
        )


def relative(paid: ArrayLike, would: ArrayLike, weights: ArrayLike, *, process: bool = False) -> Relative | None:
    """How much more was paid than the other program pays for the same runs, as a share of that.

    The ratio ``R = Σw(y − x) / Σwx`` with the interval of the total of its residuals ``(y − x) − R·x`` (linearised ratio
    estimator; Särndal, Swensson & Wretman, *Model Assisted Survey Sampling*, 1992, section 5.6). Where neither pays less than
    nothing it cannot be below −1.

    Args:
        paid, would: Points of the one and of the other program, run by run.
        weights: Runs that each row stands for; of ``process`` only their proportions matter.
        process: Of what the programs do, of which the runs are a sample.

    Returns:
        None where the other program pays nothing, or that may be: there is no share of it.
    """
    y, x, w = (np.asarray(values, dtype=float) for values in (paid, would, weights))
    base = float(np.nansum(w * x))
    known = estimators.total(x, w, process=True) if process else total_of(x, w)
    if not len(y) or not math.isfinite(known.low) or known.low <= 0 <= known.high or base == 0:
        return None
    ratio = float(np.nansum(w * (y - x))) / abs(base)
    residuals = (y - x) - ratio * x * math.copysign(1.0, base)
    if len(y) >= _ALIKE and np.allclose(residuals, 0.0, atol=1e-9 * float(np.abs(x).max())):
        # One factor for every run; of the runs that were not logged, up to a few in so many may have another or none.
        unseen = 0.0 if w.max() <= 1 else abs(ratio) * _UNSEEN * float((w**2).sum()) / float(w.sum()) ** 2
        low, high = ratio - unseen, ratio + unseen
        return Relative(ratio, max(low, -1.0) if y.min() >= 0 and x.min() >= 0 else low, high)
    left = estimators.total(residuals, w, process=process)
    if not (math.isfinite(left.low) and math.isfinite(left.high)):
        return Relative(ratio, math.nan, math.nan)
    low, high = ratio + (left.low - left.value) / abs(base), ratio + (left.high - left.value) / abs(base)
    if (bounds := _of_few(y - x, w)) is not None:
        low, high = min(low, bounds[0] / abs(base)), max(high, bounds[1] / abs(base))
    if y.min() >= 0 and x.min() >= 0:
        low = max(low, -1.0)
    return Relative(ratio, min(low, ratio), max(high, ratio))


def total_of(values: ArrayLike, weights: ArrayLike) -> Estimate:
    """The total over all runs, also where all rows are alike, as the differences of two programs may be.

    What is left to chance then is how many runs there are, and that has an interval.
    """
    found = estimators.total(values, weights)
    if found.logged_count >= _ALIKE and not math.isfinite(found.low):
        found = estimators.total(values, weights, process=True)
    return _spread(found, _of_few(values, weights))


def mean_of(values: ArrayLike, weights: ArrayLike) -> Estimate:
    """The mean per run, in the same manner."""
    found = estimators.mean(values, weights, reach=1.0)  # two programs differ by another of their amounts, or not
    if found.logged_count >= _ALIKE and not math.isfinite(found.low):
        found = estimators.mean(values, weights, process=True)
    bounds, runs = _of_few(values, weights), float(np.nansum(np.asarray(weights, dtype=float)))
    return _spread(found, (bounds[0] / runs, bounds[1] / runs) if bounds is not None and runs > 0 else None)


def _of_few(values: ArrayLike, weights: ArrayLike) -> tuple[float, float] | None:
    """The least and the most that a total may be to which few drawn rows add, and each another value; None where many or one do.

    The variance of a handful of values says little of those that were not drawn, on the other side of nothing least of all: as
    many runs as there may be (exact Poisson limit; Garwood, *Biometrika* 28, 1936) have the largest of them, or its negative.
    """
    from scipy import special

    y, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    counts = np.isfinite(y) & (y != 0) & (w > 1)
    few, weight = y[counts], w[counts]
    if not 0 < len(few) < _ALIKE or np.allclose(few, few[0]):
        return None
    runs = float(special.gammaincinv(len(few) + 1, 1 - estimate.TAIL)) * float(weight.mean())
    most = runs * float(np.abs(few).max())
    return -most, most


def _spread(estimate: Estimate, bounds: tuple[float, float] | None) -> Estimate:
    """With an interval as wide as the bounds at least."""
    if bounds is None:
        return estimate
    return replace(estimate, low=min(estimate.low, bounds[0]), high=max(estimate.high, bounds[1]), grade="too few")


def widened(total: Estimate, low: float, high: float) -> Estimate:
    """A total with what the runs that are left out may add to it; unchanged where nothing bounds that."""
    if not (math.isfinite(low) and math.isfinite(high)) or (low == high == 0) or not math.isfinite(total.value):
        return total
    bottom, top = total.low + low, total.high + high
    return replace(total, value=min(max(total.value, bottom), top), low=bottom, high=top)


def moved_cases(rows: pd.DataFrame) -> list[Moved]:
    """The runs that are paid differently, by the case of either program.

    Args:
        rows: Of them, ``points``, ``would``, ``weight``, ``case_name``, ``would_case``, ``knows_case``, ``code``.
    """
    if rows.empty:
        return []
    names = rows.assign(
        was=rows["would_case"].where(rows["knows_case"] | rows["code"].notna(), rows["case_name"]),
        now=rows["case_name"],
        has_failed=rows["code"].notna(),
    )
    found = []
    for (was, now, has_failed), part in names.groupby(["was", "now", "has_failed"], dropna=False, sort=True):
        old, new = (name if isinstance(name, str) else None for name in (was, now))
        move = Move.FAILS if has_failed else Move.AMOUNT if old == new else Move.ROUTE
        difference = total_of(part["points"] - part["would"], part["weight"]).as_difference()
        found.append(
            Moved(move, old, new, len(part), difference, _amount(part["would"]), _amount(part["points"]))
        )  # fmt: skip
    return sorted(found, key=lambda group: -abs(group.difference.value))[:_MOST_MOVES]


def _amount(values: pd.Series) -> float:
    """What nearly all of them are; NaN where they vary."""
    middle = float(values.median())
    return middle if float(np.isclose(values, middle).mean()) >= _USUAL else math.nan
