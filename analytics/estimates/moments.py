"""Means and totals of skewed values: three moments of a weighted sample, and the interval they give."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from analytics.estimates.estimate import CONFIDENCE, GRADES, NOTHING, REACH, TAIL, Estimate, graded, unseen_runs, worse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analytics.estimates.arrays import Floats


LEAST_ROWS = 60
"""Drawn rows: what one run in twenty does is among them in 95 of 100 cases (``ln 0.05 / ln 0.95``)."""
_ENOUGH_ROWS = 100
_ALIKE = 299
"""Drawn rows that are all alike: 95 % sure that at most 1 % of the runs differ."""


@dataclass(frozen=True, slots=True)
class Moments:
    """An estimator with the moments of its error.

    Attributes:
        unit: Of value, scale and, to its powers, the moments: squares of 1e200 would not be numbers.
        value: The estimate.
        variance: Of its error.
        third: Third cumulant of its error.
        shared: Covariance of the error with the estimated variance.
        fourth: Variance of the estimated variance.
        drawn: Rows left to chance.
        drawn_alike: Rows of one weight that would say as much as these (Kish).
        unseen: Part of the runs that may be unlike every drawn row.
        runs: Of which it is the sum; 1 for a mean.
        count: Rows that were not set aside.
        effective_count: Kish's.
        scale: Size of what is estimated, to judge a half width by; not zero where signs cancel.
        are_alike: All values are the same.
        is_process: Of what the strategy does, not of the runs there were.
    """

    unit: float
    value: float
    variance: float
    third: float
    shared: float
    fourth: float
    drawn: int
    drawn_alike: float
    unseen: float
    runs: float
    count: int
    effective_count: float
    scale: float
    are_alike: bool
    is_process: bool

    @property
    def skew(self) -> float:
        """The correction ``a`` of ``interval``: 0 for symmetric errors, ``γ/(3√n)`` for n equal rows of skewness γ."""
        return (3 * self.shared - self.third) / (6 * self._cube) if self._cube > 0 else 0.0

    @property
    def _cube(self) -> float:
        """Of the standard error; zero where it is too small to be a number."""
        return math.sqrt(self.variance) ** 3

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the estimated variance (Satterthwaite, *Biometrics Bulletin* 2, 1946): few for heavy tails."""
        usual = max(self.drawn - 1, 1)
        return max(min(2 * self.variance**2 / self.fourth, usual), 1) if self.fourth > 0 else usual

    def with_error(self, times: float) -> Moments:
        """The same with an error so many times as large, as lopsided as it was: what rows share makes them say less."""
        return replace(
            self,
            variance=self.variance * times**2,
            third=self.third * times**3,
            shared=self.shared * times**3,
            fourth=self.fourth * times**4,
        )

    def interval(self) -> tuple[float, float]:
        """The 95 % interval with Student's t, corrected for skewness.

        The studentised error ``T`` has ``P(T ≤ x) = Φ(x) + (a·x² + b)·φ(x)`` with ``a = (3·shared − third)/6`` and
        ``b = third/6`` in units of the standard error (Hall, *The Bootstrap and Edgeworth Expansion*, 1992, section 2.3). His cubic
        ``T + a·T² + a²T³/3 + b`` (Hall, *JRSS B* 54, 1992) is normal to that order and can be inverted.
        """
        import numpy as np
        from scipy import special

        error = math.sqrt(self.variance)
        if error == 0:
            return self.value * self.unit, self.value * self.unit
        a, b = self.skew, self.third / (6 * self._cube) if self._cube > 0 else 0.0
        t = float(special.stdtrit(self.freedom, 0.5 + CONFIDENCE / 2))

        def studentised(z: float) -> float:
            if abs(a) < 1e-6:
                return float(z - b)
            return float((np.cbrt(1 + 3 * a * (z - b)) - 1) / a)

        low, high = self.value - error * studentised(t), self.value - error * studentised(-t)
        # At rates near 1 few runs are missing, and no curve describes what they may have been.
        return min(low, self.value) * self.unit, max(high, self.value) * self.unit

    def estimate(self, reach: float = REACH) -> Estimate:
        """With interval and grade.

        Args:
            reach: Times their value that a run may come to that is unlike rows which are all alike.
        """
        if self.count == 0:
            return NOTHING
        value = self.value * self.unit
        if self.drawn == 0:  # every run is in the log
            return Estimate(value, value, value, self.count, "good", math.inf)
        if self.drawn == 1:
            return Estimate(value, math.nan, math.nan, self.count, "too few", self.effective_count)
        low, high = self.interval()
        if self.are_alike and not self.is_process and self.drawn_alike < _ALIKE:
            # Too few to say that others are alike too.
            return Estimate(value, math.nan, math.nan, self.count, GRADES[2], self.effective_count)
        if self.are_alike and not self.is_process and self.runs == 1:
            return self._of_alike(value, reach)
        return Estimate(value, low, high, self.count, self._grade((high - low) / 2), self.effective_count)

    def _of_alike(self, value: float, reach: float) -> Estimate:
        """Of rows that are all alike: some runs may have come to nothing, or to many times as much, and none of them been drawn."""
        size = self.unseen * abs(value)
        low, high = (value - size, value + reach * size) if value > 0 else (value - reach * size, value + size)
        grade = self._grade((high - low) / 2) if value else GRADES[2]
        if grade == GRADES[2]:  # nothing is not known to be nothing, nor how much the others are
            return Estimate(value, math.nan, math.nan, self.count, grade, self.effective_count)
        return Estimate(value, low, high, self.count, grade, self.effective_count)

    def within(self, least: float, most: float) -> Estimate:
        """With interval and grade where it is known what a run may come to: those unlike every drawn row may lie at either end.

        Args:
            least, most: Of a run.
        """
        if self.drawn == 0:
            return self.estimate()
        value = self.value * self.unit
        low, high = self.interval() if self.drawn > 1 else (value, value)
        unseen, mean = self.unseen * self.runs, value / self.runs
        low = value - math.hypot(value - low, unseen * max(mean - least, 0.0))
        high = value + math.hypot(high - value, unseen * max(most - mean, 0.0))
        low, high = (
            max(low, min(least * self.runs, value)),
            min(high, max(most * self.runs, value)) if self.runs == 1 else high,
        )
        return Estimate(value, low, high, self.count, self._grade((high - low) / 2), self.effective_count)

    def _grade(self, half: float) -> str:
        """By rows and width, never by the skewness seen: a sample that missed the few large values looks least skewed."""
        return worse(graded(half, self.scale * self.unit), row_grade(self.drawn_alike))


class _Rows(NamedTuple):
    """Values of rows in units of ``unit``, and how many runs each stands for."""

    values: Floats
    weights: Floats
    unit: float


def row_grade(drawn: float) -> str:
    """The best grade that so many drawn rows of one weight allow, however narrow the interval is."""
    return GRADES[2] if drawn < LEAST_ROWS else GRADES[1] if drawn < _ENOUGH_ROWS else GRADES[0]


def of_mean(values: ArrayLike, weights: ArrayLike, *, process: bool) -> Moments:
    """Of the mean per run; the arguments are those of ``estimates.mean``."""
    rows = _usable(values, weights)
    y, w = rows.values, rows.weights
    if len(y) == 0:
        return EMPTY
    whole, drawn = float(w.sum()), _drawn(w, process)
    are_alike = bool((y == y[0]).all())
    value = float(y[0]) if are_alike else float((w * y).sum()) / whole
    # n/(n − 1), as usual for few rows
    correction = drawn / (drawn - 1) if drawn > 1 else 1.0
    return _moments(rows, value, (y - value) / whole, process=process, correction=correction)


def of_total(values: ArrayLike, weights: ArrayLike, *, process: bool) -> Moments:
    """Of the sum over all runs; the arguments are those of ``estimates.total``."""
    rows = _usable(values, weights)
    y, w = rows.values, rows.weights
    if len(y) == 0:
        return EMPTY
    return _moments(rows, float((w * y).sum()), y, process=process, runs=float(w.sum()))


EMPTY = Moments(1.0, math.nan, math.nan, math.nan, math.nan, math.nan, 0, 0.0, 0.0, 1.0, 0, 0.0, math.nan, False, False)


def _moments(
    rows: _Rows, value: float, residuals: Floats, *, process: bool, correction: float = 1.0, runs: float = 1.0
) -> Moments:
    """Cumulants of Bernoulli sampling: ``w(w − 1)``, ``w(w − 1)(w − 2)``, and ``w(w − 1)²`` for the covariance.

    Args:
        rows: Usable ones.
        value: The estimate.
        residuals: What each run adds to it.
        process: Of what the strategy does, not of the runs that there were.
        correction: Of the variance, for few rows.
        runs: Of which it is the sum; 1 for a mean.
    """
    y, w = rows.values, rows.weights
    drawn, less = _drawn(w, process), w if process else w - 1
    squared = residuals**2
    square = w * less * squared
    is_drawn = w > 1
    left_to_chance = w if is_drawn.all() else w[is_drawn]  # a copy of a million weights costs as much as their sum
    alike = _kish(w if process else left_to_chance)
    return Moments(
        rows.unit,
        value,
        variance=float(square.sum()) * correction,
        third=float((square * residuals * (w if process else w - 2)).sum()),
        shared=float((square * residuals * less).sum()),
        fourth=float((square * squared * less**2).sum()),
        drawn=drawn,
        drawn_alike=alike,
        unseen=unseen_part(alike, float(left_to_chance.sum()), len(left_to_chance), float(w.sum()), process=process),
        runs=runs,
        count=len(y),
        effective_count=_kish(w) if drawn else math.inf,
        scale=float((w * abs(y)).sum()) / (float(w.sum()) / runs),
        are_alike=bool((y == y[0]).all()),
        is_process=process,
    )


def _drawn(w: Floats, process: bool) -> int:
    return len(w) if process else int((w > 1).sum())


def _kish(w: Floats) -> float:
    if len(w) == 0 or (w == w[0]).all():
        return float(len(w))
    return float(w.sum()) ** 2 / float((w**2).sum())


def unseen_part(alike: float, weight: float, rows: int, whole: float, *, process: bool) -> float:
    """Part of the runs that may be unlike every drawn row; of a process they are still to come.

    Args:
        alike: Drawn rows of one weight that would say as much (Kish).
        weight, rows: Of the drawn rows.
        whole: Runs that all rows stand for.
        process: Of what the strategy does.
    """
    if alike == 0:
        return 0.0
    if process:
        return -math.expm1(math.log(TAIL) / alike)
    undrawn = alike * (weight / rows - 1)
    return unseen_runs(alike, undrawn) / (alike + undrawn) * weight / whole


def _usable(values: ArrayLike, weights: ArrayLike) -> _Rows:
    """Finite values of rows with a weight, in units of the largest where its square may not be a number."""
    import numpy as np

    y, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    usable = np.isfinite(y) & (w >= 1)
    if not usable.all():
        y, w = y[usable], w[usable]
    unit = float(np.abs(y).max()) if len(y) else 1.0
    if unit == 0 or 1e-60 < unit < 1e60:
        return _Rows(y, w, 1.0)
    return _Rows(y / unit, w, unit)
