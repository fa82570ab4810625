"""When a line through days meets a cap: the line, its error, and the days that its data do not rule out. No data access."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analytics.estimates.estimate import TAIL

if TYPE_CHECKING:
    from analytics.estimates.arrays import Floats


ROUNDING = 1 / 12
"""Variance that a whole number hides: nodes are counted, so a day's quantile is known to half a node."""
LINE_DAYS = 4
"""Days a line needs: through three points almost any line fits."""
SIDE_DAYS = 2
"""Days on each side of a step."""
CURVE_DAYS = 6
"""Days that a bend needs."""
STEP_GAIN = 6.0
"""How much better a step must explain the days than a line (D ln of the ratio of squares) to be called one."""
FLAT_GAIN = 10.0
"""The same against one level, beside what is due to trying every day: of days without a step 1 % at most have one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through daily levels.

    Attributes:
        level: At day 0, the last day, in nodes.
        slope: Nodes per day.
        level_variance, covariance, slope_variance: Of these, from how the days scatter about the line.
        even_variance: Of the slope, were the scatter of all days the same.
        free: Degrees of freedom.
    """

    level: float
    slope: float
    level_variance: float
    covariance: float
    slope_variance: float
    even_variance: float
    free: int

    @property
    def critical(self) -> float:
        """Standard errors on each side of a 95 % interval: Student's."""
        return _student(self.free)

    @property
    def slope_error(self) -> float:
        """Standard error of the slope."""
        return math.sqrt(self.slope_variance)

    @property
    def chance(self) -> float:
        """One-sided p-value of "no growth", by the larger of the two errors.

        That of leaving out days alone is now and then too small by far, which shows where many versions are looked at and only
        one in two thousand may be called growing by chance.
        """
        from scipy import special

        return float(special.stdtr(self.free, -self.slope / math.sqrt(max(self.slope_variance, self.even_variance))))

    def scaled(self, factor: float) -> Line:
        """The line of a quantity that is a multiple of this one."""
        square = factor**2
        return Line(
            self.level * factor, self.slope * factor, self.level_variance * square, self.covariance * square,
            self.slope_variance * square, self.even_variance * square, self.free,
        )  # fmt: skip

    def raised(self, by: float) -> Line:
        """The line of a quantity that is so much more than this one."""
        return replace(self, level=self.level + by)


def line(ages: Floats, values: Floats) -> Line:
    """Least squares, with the error that leaving out one day at a time shows.

    The variance is HC3 (MacKinnon & White, *Journal of Econometrics* 29, 1985), a jackknife over days: it holds where days
    differ in how far they scatter, for runs differ within a day and days differ among themselves. With Student's quantile one
    odd day alone can never make a slope significant.

    Args:
        ages: Days, 0 for the last one; at least `LINE_DAYS` of them, all different.
        values: Nodes.
    """
    import numpy as np

    x = np.column_stack([np.ones(len(ages)), ages]).astype(float)
    inverse = np.linalg.inv(x.T @ x)
    found = inverse @ (x.T @ values)
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    off = values - x @ found
    pulls = x * (off / np.maximum(1 - leverage, 1e-9))[:, None]
    variance = inverse @ (pulls.T @ pulls) @ inverse + inverse * ROUNDING
    free = len(ages) - 2
    even = float(inverse[1, 1] * (off @ off / free + ROUNDING))
    return Line(
        float(found[0]), float(found[1]), float(variance[0, 0]), float(variance[0, 1]), float(variance[1, 1]), even, free
    )  # fmt: skip


def days_until(of: Line, cap: float, *, below: float = 0.0, above: float = 0.0) -> tuple[float, float]:
    """The days d from the last one on for which "the line is at the cap on day d" is not rejected at 5 %.

    That is Fieller's interval of a ratio (*JRSS B* 16, 1954), room over slope, so it needs no slope that is surely above
    zero: without one it is open to the right. What else is uncertain about the height enters by squares (MOVER; Zou & Donner,
    *Statistics in Medicine* 27, 2008).

    Args:
        of: The line.
        cap: In nodes.
        below, above: How far the height may lie below and above the line for another reason than the days' scatter.

    Returns:
        First and last such day, in days; infinite where there is none.
    """
    return _meets(of, cap, above, 1), _meets(of, cap, below, -1) if of.chance < TAIL else math.inf


def _meets(of: Line, cap: float, other: float, side: int) -> float:
    """Where the upper (1) or lower (-1) edge of the line's band first is at the cap."""
    if math.isinf(other):
        return 0.0 if side > 0 else math.inf
    squared = of.critical**2
    room = cap - of.level
    edge = math.sqrt(squared * of.level_variance + other**2)
    if side * edge >= room:
        return 0.0
    # (room - slope d)² = t² (v_level + 2 d cov + d² v_slope) + other²; of its roots the one on this side of the line.
    a = of.slope**2 - squared * of.slope_variance
    b = -2 * (room * of.slope + squared * of.covariance)
    c = room**2 - edge**2
    roots = sorted(root for root in _roots(a, b, c) if root >= 0 and side * (room - of.slope * root) >= 0)
    return roots[0] if roots else math.inf


def _roots(a: float, b: float, c: float) -> list[float]:
    if a == 0:
        return [-c / b] if b else []
    inside = b * b - 4 * a * c
    if inside < 0:
        return []
    # The form that loses no digits where b² is much larger than 4ac.
    half = -(b + math.copysign(math.sqrt(inside), b)) / 2
    return [half / a, *([c / half] if half else [])]


@dataclass(frozen=True, slots=True)
class Step:
    """A jump from one level to another.

    Attributes:
        age: The first day after it, counted from the last one.
        before, after: Mean levels, in nodes.
        gain: How much better than a line it explains the days: D ln(squares about the line / squares about the step).
        flat_gain: The same against one level for all days.
        days: Days looked at.
    """

    age: int
    before: float
    after: float
    gain: float
    flat_gain: float
    days: int

    @property
    def is_sure(self) -> bool:
        """No line and no scatter about one level explains the days nearly as well."""
        return self.gain > STEP_GAIN and self.flat_gain > FLAT_GAIN + 3 * math.log(self.days)


def step(ages: Floats, values: Floats) -> Step | None:
    """The jump between two days that explains the levels best; None with fewer than two days on each side."""
    import numpy as np

    count = len(ages)
    if count < 2 * SIDE_DAYS + 1:
        return None
    best: tuple[float, int] | None = None
    for place in range(SIDE_DAYS, count - SIDE_DAYS + 1):
        squares = _about(values[:place]) + _about(values[place:])
        if best is None or squares < best[0]:
            best = squares, place
    assert best is not None  # noqa: S101  # there is at least one place
    x = ages - ages.mean()
    straight = max(_about(values) - float(x @ values) ** 2 / float(x @ x), 0.0)
    squares, place = best
    hidden = count * ROUNDING
    gain, flat_gain = (count * math.log((other + hidden) / (squares + hidden)) for other in (straight, _about(values)))
    return Step(
        int(ages[place]), float(np.mean(values[:place])), float(np.mean(values[place:])), gain, flat_gain, count
    )


def _about(values: Floats) -> float:
    """Squares about the mean."""
    return float(((values - values.mean()) ** 2).sum())


def bend(ages: Floats, values: Floats) -> float:
    """One-sided p-value of "the growth does not slow down": the quadratic term of a parabola; NaN with too few days."""
    import numpy as np
    from scipy import special

    if len(ages) < CURVE_DAYS:
        return math.nan
    x = ages - ages.mean()
    design = np.column_stack([np.ones(len(x)), x, x * x]).astype(float)
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ (design.T @ values)
    left = float(((values - design @ found) ** 2).sum()) + len(x) * ROUNDING
    error = math.sqrt(inverse[2, 2] * left / (len(x) - 3))
    return float(special.stdtr(len(x) - 3, found[2] / error))


def _student(free: int) -> float:
    from scipy import special

    return float(special.stdtrit(free, 1 - TAIL))
