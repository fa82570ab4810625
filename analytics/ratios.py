"""One uncertain number as a share of another: the interval of a ratio knows that both are uncertain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from analytics.estimate import Estimate


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
    leaves out zero exactly where ``differences.between`` does.

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
