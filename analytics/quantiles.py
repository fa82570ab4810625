"""Quantiles of runs from weighted rows, some of which are only known to be "at least"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from analytics.estimate import GRADES, NOTHING, TAIL, Estimate, worse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]


_LEAST = 5.0
"""Effective rows; of fewer nothing can be said."""


def quantile(
    values: ArrayLike,
    weights: ArrayLike,
    q: float,
    *,
    censored: ArrayLike | None = None,
    undrawn: float = 0.0,
    future: bool = False,
) -> Estimate:
    """One quantile of the runs; see ``quantiles``."""
    return quantiles(values, weights, (q,), censored=censored, undrawn=undrawn, future=future)[0]


def quantiles(
    values: ArrayLike,
    weights: ArrayLike,
    qs: Sequence[float],
    *,
    censored: ArrayLike | None = None,
    undrawn: float = 0.0,
    future: bool = False,
) -> list[Estimate]:
    """Quantiles of the runs: the weighted ECDF, inverted.

    The interval is Woodruff's (*JASA* 47, 1952): an interval for the share of runs below, read off the ECDF. The share is
    binomial with the effective sample size of Korn & Graubard (*Survey Methodology* 24, 1998), its variance taken as it is
    if ``q`` is right (a score test), so that the interval is that of order statistics (David & Nagaraja, *Order Statistics*,
    2003, section 7.1) where all weights are equal, and failures, which are all known, add nothing.

    A censored row is a run that was stopped: its value is "at least". Such rows rank above all others (type I censoring;
    Klein & Moeschberger, *Survival Analysis*, 2003, section 3.2), and a quantile among them is a lower bound.

    Args:
        values: Of the rows; NaN is left out. ``inf`` counts as censored without a value.
        weights: Their ``sample_weight``; NaN is left out.
        qs: Each between 0 and 1.
        censored: True where the run would have gone on.
        undrawn: Ok runs that there may have been though none was drawn (``upper_bound_of_none``): then the failures, all
            known, say nothing of the runs, and the interval is unknown.
        future: Take the runs themselves as a sample of what the strategy does (for comparisons).

    Returns:
        One estimate per ``q``. An open upper end is ``inf``: no row lies surely beyond the quantile.
    """
    import numpy as np

    y, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    stopped = np.zeros(y.shape, bool) if censored is None else np.asarray(censored, dtype=bool)
    usable = ~np.isnan(y) & (w >= 1)
    y, w, stopped = y[usable], w[usable], stopped[usable] | (y[usable] == math.inf)
    if len(y) == 0:
        return [NOTHING] * len(qs)
    ranked = _Ranked(np.where(stopped, math.inf, y), w)
    # A run that was stopped is worth at least what it had come to.
    least = _Ranked(np.where(y == math.inf, _largest(y), y), w) if stopped.any() else ranked
    found = [_one(ranked, least, q, future) for q in qs]
    return [replace(one, low=math.nan, high=math.nan, grade="too few") for one in found] if undrawn > 0 else found


class _Ranked:
    """Rows in the order of their values, with what a quantile asks of them."""

    def __init__(self, y: Floats, w: Floats) -> None:
        import numpy as np

        self.is_even = bool((w == w[0]).all())
        if self.is_even:  # sorting values alone takes a fraction of the time
            self.y, self.w = np.sort(y), w
        else:
            order = np.lexsort((w, y))  # the same rows in another order give the same numbers
            self.y, self.w = y[order], w[order]
        self.below = np.cumsum(self.w)
        self.total = float(self.below[-1])

    def place(self, p: float) -> int:
        """The row at which the ECDF reaches a share of the runs."""
        import numpy as np

        return min(int(np.searchsorted(self.below, (p - 1e-12) * self.total)), len(self.y) - 1)

    def at(self, p: float) -> float:
        return float(self.y[self.place(p)])


def _one(ranked: _Ranked, least: _Ranked, q: float, future: bool) -> Estimate:
    from scipy import special

    n, place = len(ranked.y), ranked.place(q)
    value = float(ranked.y[place])
    # What drawing adds to the variance of a total: w² for a process, w(w − 1) for the runs that there were.
    factor = ranked.w if future else ranked.w - 1
    beyond = float(ranked.below[place]) - q * ranked.total  # of the row at q itself, the runs that count as above
    over = float((ranked.w[place + 1 :] * factor[place + 1 :]).sum()) + beyond * float(factor[place])
    under = float((ranked.w * factor).sum()) - over
    # Where nothing that was drawn lies above, something that was not may: one row.
    unseen = float((ranked.w * factor).max())
    variance = ((1 - q) ** 2 * under + q**2 * max(over, unseen)) / ranked.total**2
    effective, low, high = math.inf, value, value  # all runs are in the log
    if variance > 0:
        # 200 equal rows are 200, not 199.99999
        effective, low, high = round(q * (1 - q) / variance, 9), -math.inf, math.inf
    if _LEAST <= effective < math.inf:
        size = math.floor(effective)
        first = math.ceil(special.bdtrik(TAIL, size, q))  # fewest of them below, in 95 of 100
        last = math.ceil(special.bdtrik(1 - TAIL, size, q)) + 1
        low = min(ranked.at(first / size), value) if first > 0 else -math.inf
        high = max(ranked.at(last / size), value) if last <= size else math.inf
    if value < math.inf:
        grade = _grade(value, low, high, effective, q)
        return Estimate(value, low, high, n, worse(grade, GRADES[1]) if unseen > over else grade, effective)
    bound = least.at(q)
    if bound == math.inf:  # only stopped runs, and nothing is known of them
        return Estimate(math.nan, math.nan, math.nan, n, GRADES[2], effective)
    if low == math.inf:  # surely among them
        return Estimate(bound, bound, math.inf, n, GRADES[0], effective, is_at_least=True)
    grade = GRADES[1] if effective * (1 - q) >= 5 else GRADES[2]
    return Estimate(bound, min(low, bound), math.inf, n, grade, effective, is_at_least=True)


def _largest(y: Floats) -> float:
    finite = y[y < math.inf]
    return float(finite.max()) if len(finite) else math.inf


def _grade(value: float, low: float, high: float, effective: float, q: float) -> str:
    half, scale = (high - low) / 2, abs(value)
    if not half <= scale:
        return GRADES[2] if half > 0 else GRADES[0]
    return GRADES[0] if half <= 0.25 * scale and effective * min(q, 1 - q) >= 10 else GRADES[1]
