"""Means and totals of skewed values: three moments of a weighted sample, and the interval they give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.estimate import CONFIDENCE, GRADES, NOTHING, Estimate, graded, worse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

LEAST_ROWS = 60
"""Drawn rows: what one run in twenty does is among them in 95 of 100 cases (``ln 0.05 / ln 0.95``)."""
_ENOUGH_ROWS = 100
_ALIKE = (299, 2994)
"""Where all rows are alike, for rough and for good: 95 % sure that at most 1 % (0.1 %) of the runs differ."""


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

    def estimate(self) -> Estimate:
        """With interval and grade."""
        if self.count == 0:
            return NOTHING
        value = self.value * self.unit
        if self.drawn == 0:  # every run is in the log
            return Estimate(value, value, value, self.count, "good", math.inf)
        if self.drawn == 1:
            return Estimate(value, math.nan, math.nan, self.count, "too few", self.effective_count)
        if self.are_alike and not self.is_process and self.drawn_alike < _ALIKE[0]:
            # Too few to say that others are alike too.
            return Estimate(value, math.nan, math.nan, self.count, GRADES[2], self.effective_count)
        low, high = self.interval()
        return Estimate(value, low, high, self.count, self._grade((high - low) / 2), self.effective_count)

    def _grade(self, half: float) -> str:
        """By rows and width, never by the skewness seen: a sample that missed the few large values looks least skewed."""
        # What a comparison asks of rows that are alike is their amount, which they give; not what other runs may have been paid.
        rough, good = _ALIKE if self.are_alike and not self.is_process else (LEAST_ROWS, _ENOUGH_ROWS)
        if self.drawn_alike < rough:
            return GRADES[2]
        grade = graded(half, self.scale * self.unit)
        return grade if self.drawn_alike >= good else worse(grade, GRADES[1])


def of_mean(values: ArrayLike, weights: ArrayLike, *, future: bool) -> Moments:
    """Of the mean per run; the arguments are those of ``estimates.mean``."""
    y, w, unit = _usable(values, weights)
    if len(y) == 0:
        return EMPTY
    whole, drawn = float(w.sum()), _drawn(w, future)
    are_alike = bool((y == y[0]).all())
    value = float(y[0]) if are_alike else float((w * y).sum()) / whole
    # n/(n − 1), as usual for few rows
    correction = drawn / (drawn - 1) if drawn > 1 else 1.0
    return _moments(unit, value, y, w, (y - value) / whole, float((w * abs(y)).sum()) / whole, correction, future)


def of_total(values: ArrayLike, weights: ArrayLike, *, future: bool) -> Moments:
    """Of the sum over all runs; the arguments are those of ``estimates.total``."""
    y, w, unit = _usable(values, weights)
    if len(y) == 0:
        return EMPTY
    return _moments(unit, float((w * y).sum()), y, w, y, float((w * abs(y)).sum()), 1.0, future)


EMPTY = Moments(1.0, math.nan, math.nan, math.nan, math.nan, math.nan, 0, 0.0, 0, 0.0, math.nan, False, False)


def _moments(
    unit: float, value: float, y: Floats, w: Floats, residuals: Floats, scale: float, correction: float, future: bool
) -> Moments:
    """Cumulants of Bernoulli sampling: ``w(w − 1)``, ``w(w − 1)(w − 2)``, and ``w(w − 1)²`` for the covariance."""
    drawn, less = _drawn(w, future), w if future else w - 1
    square = w * less * residuals**2
    return Moments(
        unit,
        value,
        variance=float(square.sum()) * correction,
        third=float((square * residuals * (w if future else w - 2)).sum()),
        shared=float((square * residuals * less).sum()),
        fourth=float((square * residuals**2 * less**2).sum()),
        drawn=drawn,
        drawn_alike=_kish(w if future else w[w > 1]),
        count=len(y),
        effective_count=_kish(w) if drawn else math.inf,
        scale=scale,
        are_alike=bool((y == y[0]).all()),
        is_process=future,
    )


def _drawn(w: Floats, future: bool) -> int:
    return len(w) if future else int((w > 1).sum())


def _kish(w: Floats) -> float:
    if len(w) == 0 or (w == w[0]).all():
        return float(len(w))
    return float(w.sum()) ** 2 / float((w**2).sum())


def _usable(values: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats, float]:
    """Finite values of rows with a weight, in units of the largest where its square may not be a number."""
    import numpy as np

    y, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    usable = np.isfinite(y) & (w >= 1)
    y, w = y[usable], w[usable]
    unit = float(np.abs(y).max()) if len(y) else 1.0
    if unit == 0 or 1e-60 < unit < 1e60:
        return y, w, 1.0
    return y / unit, w, unit
