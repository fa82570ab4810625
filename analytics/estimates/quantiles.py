"""Quantiles of runs from weighted rows, some of which are only known to be "at least"."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from analytics.estimates.estimate import GRADES, NOTHING, TAIL, Estimate, worse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analytics.estimates.arrays import Array, Bools, Floats

    Kind = Literal["stable"] | None

SLACK = 1e-12
"""Of a share: a weighted count that reaches it but for a rounding has reached it."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A quantile, and what drawing adds to the variance of the runs on both sides of it.

    Attributes:
        value: Of the row at which the ECDF reaches the share.
        over, under: Sums of ``w(w − 1)`` above and below; of the rows with that value, the runs that count as above are above,
            whichever they are: rows that are tied have no order.
        unseen: The largest of a single row.
    """

    value: float
    over: float
    under: float
    unseen: float


class Ecdf(Protocol):
    """Rows in order.

    Attributes:
        count: Rows.
        total: Runs they stand for.
    """

    count: int
    total: float

    def at(self, p: float) -> float:
        """Value of the row at which the ECDF reaches a share of the runs."""
        ...

    def around(self, q: float) -> Neighbourhood:
        """The same row, with what lies around it."""
        ...


class MergedEcdf:
    """Several sorted parts, each of rows of one weight, merged in thought.

    The rows of the largest part, nearly all as a rule, are only counted: there are no arrays of their weights, and no sums over
    them. Equal values rank in the order largest part, then the others as given. Weights are whole numbers, so every count is exact.

    Args:
        parts: Values in ascending order with their weight; at least one part, none of them empty.
    """

    def __init__(self, parts: Sequence[tuple[Array, float]]) -> None:
        import numpy as np

        largest = max(range(len(parts)), key=lambda number: len(parts[number][0]))
        others = [part for number, part in enumerate(parts) if number != largest]
        self._main, self._weight = parts[largest]
        values = np.concatenate([np.empty(0), *(values for values, _ in others)])
        weights = np.repeat([weight for _, weight in others], [len(values) for values, _ in others])
        order = np.argsort(values, kind="stable")  # sorted stretches are merged
        self._values, self._weights = values[order], weights[order]
        self._before = np.searchsorted(self._main, self._values, side="right")  # rows of the largest part
        self._sums = np.cumsum(np.append(0.0, self._weights))
        self._spreads = np.cumsum(np.append(0.0, self._weights * (self._weights - 1)))
        self._below = self._weight * self._before + self._sums[1:]
        self.count = len(self._main) + len(values)
        self.total = self._weight * len(self._main) + float(self._sums[-1])
        self._unseen = max(weight * (weight - 1) for _, weight in parts)

    def at(self, p: float) -> float:
        """Value of the row at which the ECDF reaches a share of the runs."""
        return self._value(*self._place(p))

    def around(self, q: float) -> Neighbourhood:
        """The same row, with what lies around it."""
        import numpy as np

        value = self._value(*self._place(q))
        sides: tuple[Literal["left", "right"], ...] = ("left", "right")
        main0, main1 = (int(np.searchsorted(self._main, value, side)) for side in sides)
        other0, other1 = (int(np.searchsorted(self._values, value, side)) for side in sides)
        each, kept = self._weight * (self._weight - 1), float(self._spreads[-1])
        beyond = self._weight * main1 + float(self._sums[other1]) - q * self.total
        tied = each * (main1 - main0) + float(self._spreads[other1] - self._spreads[other0])
        alike = tied / (self._weight * (main1 - main0) + float(self._sums[other1] - self._sums[other0]))
        over = each * (len(self._main) - main1) + kept - float(self._spreads[other1]) + beyond * alike
        return Neighbourhood(value, over, each * len(self._main) + kept - over, self._unseen)

    def _value(self, main: int, other: int, is_main: bool) -> float:
        return float(self._main[main - 1] if is_main else self._values[other - 1])

    def _place(self, p: float) -> tuple[int, int, bool]:
        """Rows of the largest part and of the others up to the row that is looked for, and whether it is of the largest."""
        import numpy as np

        wanted = (p - SLACK) * self.total
        other = int(np.searchsorted(self._below, wanted))  # the others before it
        is_last = other == len(self._values)
        end = len(self._main) if is_last else int(self._before[other])
        sum_before = float(self._sums[other])
        main = max(math.ceil((wanted - sum_before) / self._weight), 1)
        while main > 1 and self._weight * (main - 1) + sum_before >= wanted:  # the division has rounded
            main -= 1
        while self._weight * main + sum_before < wanted:
            main += 1
        if main <= end:
            return main, other, True
        if not is_last:
            return end, other + 1, False
        # Beyond them all: the last row.
        is_main = other == 0 or int(self._before[-1]) < len(self._main)
        return len(self._main), other, is_main


_LEAST = 5.0
"""Effective rows; of fewer nothing can be said."""


def quantile(
    values: ArrayLike,
    weights: ArrayLike,
    q: float,
    *,
    censored: ArrayLike | None = None,
    undrawn: float = 0.0,
    process: bool = False,
) -> Estimate:
    """One quantile of the runs; see ``quantiles``."""
    return quantiles(values, weights, (q,), censored=censored, undrawn=undrawn, process=process)[0]


def quantiles(
    values: ArrayLike,
    weights: ArrayLike,
    qs: Sequence[float],
    *,
    censored: ArrayLike | None = None,
    undrawn: float = 0.0,
    process: bool = False,
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
        process: Take the runs themselves as a sample of what the strategy does (for comparisons).

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
    return _of_rows(y, w, stopped, qs, undrawn, process)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one weight.

    Attributes:
        values: In ascending order, numbers of any type, none of them NaN or infinite.
        weight: Of each.
        stopped: They are runs that would have gone on.
        unknown: So many more, stopped before anything was known of their value.
    """

    values: Array
    weight: float
    stopped: bool = False
    unknown: int = 0

    @property
    def count(self) -> int:
        """Rows."""
        return len(self.values) + self.unknown


def quantiles_of_parts(parts: Iterable[Part], qs: Sequence[float], *, undrawn: float = 0.0) -> list[Estimate]:
    """What ``quantiles`` says of all rows of these parts, without an array of weights and without sorting again."""
    import numpy as np

    usable = [part for part in parts if part.count and part.weight >= 1]
    if not usable:
        return [NOTHING] * len(qs)
    if sum(part.count * part.weight**2 for part in usable) >= 2**53 or any(part.weight % 1 for part in usable):
        # Sums of such weights depend on their order by a rounding, so they are summed as ``quantiles`` does.
        values = np.concatenate([np.append(part.values, np.full(part.unknown, math.inf)) for part in usable])
        counts = [part.count for part in usable]
        weights, stopped = (np.repeat([getattr(p, name) for p in usable], counts) for name in ("weight", "stopped"))
        return _of_rows(values, weights, stopped, qs, undrawn, process=False, kind="stable")
    ranked = MergedEcdf([(np.full(p.count, math.inf) if p.stopped else p.values, p.weight) for p in usable])

    def least() -> MergedEcdf:
        largest = max((float(part.values[-1]) for part in usable if len(part.values)), default=math.inf)
        return MergedEcdf([(np.append(part.values, np.full(part.unknown, largest)), part.weight) for part in usable])

    return _all(ranked, least, qs, undrawn)


def quantiles_of_counts(
    values: ArrayLike,
    weights: ArrayLike,
    counts: ArrayLike,
    qs: Sequence[float],
    *,
    censored: ArrayLike | None = None,
    undrawn: float = 0.0,
) -> list[Estimate]:
    """What ``quantiles`` says of rows that are counted, not listed.

    Args:
        values, weights, censored: Of rows that share them; see ``quantiles``.
        counts: How many rows do.
        qs, undrawn: See ``quantiles``.
    """
    import numpy as np

    y, w, times = np.asarray(values, dtype=float), np.asarray(weights, dtype=float), np.asarray(counts, dtype=int)
    stopped = np.zeros(y.shape, bool) if censored is None else np.asarray(censored, dtype=bool)
    usable = ~np.isnan(y) & (w >= 1)
    order = np.argsort(y[usable], kind="stable")
    y, w, times, stopped = (column[usable][order] for column in (y, w, times, stopped | (y == math.inf)))
    parts = []
    for weight in np.unique(w):
        for is_stopped in (False, True):
            own = (w == weight) & (stopped == is_stopped)
            known = own & (y < math.inf)
            unknown = int(times[own].sum() - times[known].sum())
            parts.append(Part(np.repeat(y[known], times[known]), float(weight), is_stopped, unknown))
    return quantiles_of_parts(parts, qs, undrawn=undrawn)


def _of_rows(
    y: Floats,
    w: Floats,
    stopped: Bools,
    qs: Sequence[float],
    undrawn: float,
    process: bool,
    kind: Kind = None,
) -> list[Estimate]:
    import numpy as np

    ranked = _RowEcdf(np.where(stopped, math.inf, y), w, process, kind)
    # A run that was stopped is worth at least what it had come to.
    return _all(ranked, lambda: _RowEcdf(np.where(y == math.inf, _largest(y), y), w, process, kind), qs, undrawn)


def _all(ranked: Ecdf, least: Callable[[], Ecdf], qs: Sequence[float], undrawn: float) -> list[Estimate]:
    if_stopped = functools.cache(least)  # made where a quantile lies among the stopped runs
    found = [_one(ranked, if_stopped, q) for q in qs]
    return [replace(one, low=math.nan, high=math.nan, grade="too few") for one in found] if undrawn > 0 else found


class _RowEcdf:
    """Rows in the order of their values, an array of each; ``kind`` is "stable" for sorted stretches, which it merges."""

    def __init__(self, y: Floats, w: Floats, process: bool, kind: Kind) -> None:
        import numpy as np

        if (w == w[0]).all():  # sorting values alone takes a fraction of the time
            self.y, self.w = np.sort(y, kind=kind), w
        else:
            order = np.argsort(y, kind=kind)
            self.y, self.w = y[order], w[order]
        self.below = np.cumsum(self.w)
        self.total, self.count = float(self.below[-1]), len(y)
        # What drawing adds to the variance of a total: w² for a process, w(w − 1) for the runs that there were.
        self.factor = self.w if process else self.w - 1

    def place(self, p: float) -> int:
        """The row at which the ECDF reaches a share of the runs."""
        import numpy as np

        return min(int(np.searchsorted(self.below, (p - SLACK) * self.total)), len(self.y) - 1)

    def at(self, p: float) -> float:
        return float(self.y[self.place(p)])

    def around(self, q: float) -> Neighbourhood:
        import numpy as np

        value = self.y[self.place(q)]
        first, last = np.searchsorted(self.y, value, "left"), np.searchsorted(self.y, value, "right")
        spreads = self.w * self.factor
        beyond = float(self.below[last - 1]) - q * self.total
        alike = float(spreads[first:last].sum()) / float(self.w[first:last].sum())
        over = float(spreads[last:].sum()) + beyond * alike
        return Neighbourhood(float(value), over, float(spreads.sum()) - over, float(spreads.max()))


def _one(ranked: Ecdf, least: Callable[[], Ecdf], q: float) -> Estimate:
    from scipy import special

    n, around = ranked.count, ranked.around(q)
    value = around.value
    # Where nothing that was drawn lies above, something that was not may: one row.
    variance = ((1 - q) ** 2 * around.under + q**2 * max(around.over, around.unseen)) / ranked.total**2
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
        grade = worse(grade, GRADES[1]) if around.unseen > around.over else grade
        return Estimate(value, low, high, n, grade, effective)
    bound = least().at(q)
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
