"""How many versions, and days, until a family that grows from version to version meets a limit. No data access."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.estimate import NOTHING, TAIL, Estimate, graded

_SURE_STEPS = 2
"""Steps from which on a spread can be estimated: one alone has none."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Where the growth of a family leads, if it goes on as it did.

    Attributes:
        steps: What each version added to the one before, in nodes, oldest first.
        versions: The next version to be above the limit, counted from the newest: 1 is the next one. The upper end is infinite
            where the steps may as well be none. Of one step alone there is no interval: from 1 to infinite, ``too few``.
        days: When that version comes, from the end of the window on, if versions come as they did. Of one publication alone
            nothing is said.
    """

    steps: tuple[float, ...]
    versions: Estimate
    days: Estimate

    @property
    def has_interval(self) -> bool:
        """There are steps enough for one."""
        return len(self.steps) >= _SURE_STEPS


NOWHERE = Ahead((), NOTHING, NOTHING)
"""Of what does not grow."""


def ahead(
    room: float,
    steps: Sequence[float],
    exposure_days: float,
    *,
    grain: float = 0.0,
    above: float = 0.0,
    below: float = 0.0,
) -> Ahead:
    """Versions and days until steps like these use up the room.

    The steps are taken for draws from one distribution, so the sum of the next h of them has mean h m and variance
    s² h (1 + h / n), as in the drift method of forecasting (Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 3rd
    ed., section 5.2 and its table of variances in 5.5), with Student's quantile for n - 1 degrees of freedom. Publications are
    taken for a Poisson process: of n in a time T, the next h take between T h / (n + 1) F and T h / n F', F of 2h and 2n + 2
    degrees of freedom and F' of 2h and 2n (Nelson, *Applied Life Data Analysis*, 1982, chapter 10). Each is asked at half the
    chance: for days, which err in both, and because few and skewed steps are a little worse than Student's quantile allows.

    Args:
        room: Nodes left below the limit; the limit itself is allowed.
        steps: What each version added to the one before it, oldest first.
        exposure_days: From the first of these versions until now.
        grain: Nodes by which programs grow at least. Steps that happen to be all alike are known to half of it, no better:
            its square over twelve is added to their variance.
        above, below: How far the newest may be above and below what is taken for it, at 95 %.

    Returns:
        `NOWHERE` where the steps do not lead up.
    """
    mean = sum(steps) / len(steps) if steps else 0.0
    if not mean > 0 or not math.isfinite(room):
        return NOWHERE
    count = len(steps)
    if room < 0:
        zero = Estimate(0.0, 0.0, 0.0, count, "good")
        return Ahead(tuple(steps), zero, zero)
    value = float(_first_above(mean, room))
    if count < _SURE_STEPS:
        open_ended = Estimate(value, 1.0, math.inf, count, "too few")
        return Ahead(tuple(steps), open_ended, Estimate(math.nan, 0.0, math.inf, count, "too few"))
    low, high = _span(room, steps, grain, above, below)
    versions = Estimate(value, low, high, count, graded((high - low) / 2, value))
    return Ahead(tuple(steps), versions, _days(value, (low, high), count, exposure_days))


def _first_above(mean: float, room: float) -> int:
    """The first number of steps that is more than the room; one at least."""
    return max(math.floor(room / mean + 1e-9) + 1, 1)


def _span(room: float, steps: Sequence[float], grain: float, above: float, below: float) -> tuple[float, float]:
    from scipy import special

    count, mean = len(steps), sum(steps) / len(steps)
    spread = sum((step - mean) ** 2 for step in steps) / (count - 1) + grain**2 / 12
    squared = float(special.stdtrit(count - 1, 1 - TAIL / 2)) ** 2 * spread

    def reach(number: float, side: int) -> float:
        """The edge of what so many more steps add."""
        other = above if side > 0 else below
        return number * mean + side * math.sqrt(squared * number * (1 + number / count) + other**2)

    most = _first_above(mean, room)
    low = next((number for number in range(1, most) if reach(number, 1) > room), most)
    # Beyond all bounds the lower edge rises with the number of steps by this much each; not at all where it is negative.
    if not mean > math.sqrt(squared / count):
        return float(low), math.inf
    # The lower edge falls at first and rises then: where it is above the room, it stays so. Doubling, then halving.
    before, high = most - 1, most
    while reach(high, -1) <= room:
        before, high = high, 2 * high
    while high - before > 1:
        middle = (before + high) // 2
        before, high = (before, middle) if reach(middle, -1) > room else (middle, high)
    return float(low), float(high)


def _days(value: float, versions: tuple[float, float], count: int, exposure: float) -> Estimate:
    """When that version comes: the next publications of a Poisson process, with what is not known of how many they are."""
    from scipy import special

    if not exposure > 0:
        return Estimate(math.nan, 0.0, math.inf, count, "too few")
    fewest, most = versions
    low = exposure * fewest / (count + 1) * float(special.fdtri(2 * fewest, 2 * count + 2, TAIL / 2))
    high = (
        exposure * most / count * float(special.fdtri(2 * most, 2 * count, 1 - TAIL / 2))
        if math.isfinite(most)
        else math.inf
    )
    days = exposure * value / count
    return Estimate(days, low, high, count, graded((high - low) / 2, days))
