"""A number estimated from the log: value, interval, what it rests on, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from analytics.storage.typed_json import Json

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
"""Chance on each side of an interval to miss."""
Z_95 = 1.959963984540054
"""Standard errors in a two-sided 95 % interval of a normal estimate."""
GRADES = ("good", "rough", "too few")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number for the population, estimated from the log.

    Attributes:
        value: Best value; NaN when nothing can be said.
        low, high: 95 % interval, in the unit of the value; NaN when unknown, infinite when that side is open.
        logged_count: Rows it rests on.
        grade: ``good`` (narrow enough to act on), ``rough`` (right order of size) or ``too few`` (do not use).
        effective_count: Drawn rows of one weight that would say as much (Kish's ``(Σw)²/Σw²``; of a quantile or a share
            what its variance amounts to); infinite when nothing was left to chance.
        is_at_least: The number is a lower bound: it lies among runs that were stopped, or where nothing is drawn.
    """

    value: float
    low: float
    high: float
    logged_count: int
    grade: str
    effective_count: float = math.nan
    is_at_least: bool = False

    def negated(self) -> Estimate:
        """The same with the other sign: what was overpaid as what was underpaid."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low)

    def times(self, factor: float) -> Estimate:
        """The same in another unit: points a day instead of points in a week. The factor is above zero."""
        return replace(self, value=factor * self.value, low=factor * self.low, high=factor * self.high)

    def as_difference(self) -> Estimate:
        """The same, graded as an amount that says which of two is more.

        Whatever the width, that is not known where the interval crosses zero: rough at best, and too few where zero is well
        inside, in the middle half. What has no width is known.
        """
        if not self.low < 0 < self.high:
            return self
        is_well_inside = min(-self.low, self.high) > max(-self.low, self.high) / 3
        return replace(self, grade=worse(self.grade, GRADES[2] if is_well_inside else GRADES[1]))

    def to_dict(self) -> dict[str, Json]:
        """As plain JSON values; what is not finite becomes ``None``."""

        def plain(x: float) -> float | None:
            return float(x) if math.isfinite(x) else None

        return {
            "value": plain(self.value),
            "low": plain(self.low),
            "high": plain(self.high),
            "logged_count": self.logged_count,
            "grade": self.grade,
            "effective_count": plain(self.effective_count),
            "is_at_least": self.is_at_least,
        }


NOTHING = Estimate(math.nan, math.nan, math.nan, 0, "too few", 0.0)


def graded(half: float, scale: float) -> str:
    """The grade of an interval by its half width against the size of what is estimated: 15 % to act on, 50 % at most."""
    if half <= 0.15 * scale:
        return GRADES[0]
    return GRADES[1] if half <= 0.5 * scale else GRADES[2]


def worse(first: str, second: str) -> str:
    """The worse of two grades."""
    return max(first, second, key=GRADES.index)


REACH = 300.0
"""Times the mean: as much as one run is taken to come to at most, where no run tells. An assumption, no result: without a bound a
mean of values that are not negative has no upper limit (Bahadur & Savage, *Annals of Mathematical Statistics* 27, 1956)."""


def unseen_runs(drawn: float, undrawn: float) -> float:
    """How many of the undrawn runs may be unlike every drawn one, at most.

    If ``k`` of them are, all of ``k`` were left out before any was drawn, which has the chance ``(r/(r + n))^k``: the rule of three
    in its exact form. At the rate 0.05 it is 72 runs, however many there were, with a fortieth of doubt.

    Args:
        drawn: Rows drawn, ``n``.
        undrawn: Runs that were not, ``r``.
    """
    if undrawn <= 0:
        return 0.0
    if drawn <= 0:
        return undrawn
    return min(math.log(TAIL) / math.log(undrawn / (undrawn + drawn)), undrawn)
