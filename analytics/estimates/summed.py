"""Moments of rows that a database has summed up: what ``moments`` says of arrays, of counts and sums of powers.

A sum of fourth powers about zero has lost the digits of the spread where values are large and close together, so powers are taken
about a value among the rows (Chan, Golub & LeVeque, *The American Statistician* 37, 1983), and moved from there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analytics.estimates.moments import EMPTY, Moments, unseen_part


@dataclass(frozen=True, slots=True)
class Sums:
    """Values of rows that have one weight.

    Attributes:
        weight: Of each row; rows of less than 1, or NaN, are set aside.
        count: Rows, one at least.
        least, most: Smallest and largest value.
        absolute: Sum of ``|y|/unit``. The unit is 1, or the largest value where its square may not be a number.
        powers: Sums of ``((y − pivot)/unit)^k`` for k from 1 to 4.
    """

    weight: float
    count: int
    least: float
    most: float
    absolute: float
    powers: tuple[float, float, float, float]

    def about(self, shift: float) -> tuple[float, float, float]:
        """Sums of the second to fourth powers about another place.

        Args:
            shift: From the pivot to that place, in units.
        """
        n = float(self.count)
        one, two, three, four = self.powers
        second = two - 2 * shift * one + n * shift**2
        third = three - 3 * shift * two + 3 * shift**2 * one - n * shift**3
        fourth = four - 4 * shift * three + 6 * shift**2 * two - 4 * shift**3 * one + n * shift**4
        return max(second, 0.0), third, max(fourth, 0.0)


def mean_of_sums(sums: Sequence[Sums], pivot: float, unit: float, *, process: bool = False) -> Moments:
    """Of the mean per run, as ``moments.of_mean`` has it.

    Args:
        sums: One for each weight; all of the same pivot and unit.
        pivot, unit: Of the powers, in the values' own unit.
        process: See ``estimators``.
    """
    usable = _usable(sums)
    if not usable:
        return EMPTY
    whole = math.fsum(one.weight * one.count for one in usable)
    drawn = _drawn(usable, process)
    shift = math.fsum(one.weight * one.powers[0] for one in usable) / whole
    value = usable[0].least / unit if _are_alike(usable) else pivot / unit + shift
    correction = drawn / (drawn - 1) if drawn > 1 else 1.0
    residuals = [(one, _scaled(one.about(value - pivot / unit), whole)) for one in usable]
    return _moments(residuals, value, unit, process=process, correction=correction)


def total_of_sums(sums: Sequence[Sums], pivot: float, unit: float, *, process: bool = False) -> Moments:
    """Of the sum over all runs, as ``moments.of_total`` has it; the arguments are those of ``mean_of_sums``."""
    usable = _usable(sums)
    if not usable:
        return EMPTY
    start = pivot / unit
    value = math.fsum(one.weight * (one.powers[0] + one.count * start) for one in usable)
    runs = math.fsum(one.weight * one.count for one in usable)
    return _moments([(one, one.about(-start)) for one in usable], value, unit, process=process, runs=runs)


def _usable(sums: Sequence[Sums]) -> list[Sums]:
    return [one for one in sums if one.count and one.weight >= 1]


def _are_alike(sums: Sequence[Sums]) -> bool:
    return all(one.least == one.most == sums[0].least for one in sums)


def _scaled(powers: tuple[float, float, float], whole: float) -> tuple[float, float, float]:
    second, third, fourth = powers
    return second / whole**2, third / whole**3, fourth / whole**4


def _moments(
    residuals: Sequence[tuple[Sums, tuple[float, float, float]]],
    value: float,
    unit: float,
    *,
    process: bool,
    correction: float = 1.0,
    runs: float = 1.0,
) -> Moments:
    """The cumulants of ``moments``, of rows of one weight after those of another."""
    sums = [one for one, _ in residuals]
    variance = third = shared = fourth = 0.0
    for one, (squares, cubes, fourths) in residuals:
        w = one.weight
        less = w if process else w - 1
        variance += w * less * squares
        third += w * less * cubes * (w if process else w - 2)
        shared += w * less * less * cubes
        fourth += w * less**3 * fourths
    whole = math.fsum(one.weight * one.count for one in sums)
    drawn = _drawn(sums, process)
    alike = _kish(sums if process else [one for one in sums if one.weight > 1])
    heavier = math.fsum(one.weight * one.count for one in sums if one.weight > 1)
    return Moments(
        unit,
        value,
        variance=variance * correction,
        third=third,
        shared=shared,
        fourth=fourth,
        drawn=drawn,
        drawn_alike=alike,
        unseen=unseen_part(alike, heavier, _drawn(sums, False), whole, process=process),
        runs=runs,
        count=sum(one.count for one in sums),
        effective_count=_kish(sums) if drawn else math.inf,
        scale=math.fsum(one.weight * one.absolute for one in sums) / (whole / runs),
        are_alike=_are_alike(sums),
        is_process=process,
    )


def _drawn(sums: Sequence[Sums], process: bool) -> int:
    return sum(one.count for one in sums if process or one.weight > 1)


def _kish(sums: Sequence[Sums]) -> float:
    if len({one.weight for one in sums}) < 2:
        return float(sum(one.count for one in sums))
    whole = math.fsum(one.weight * one.count for one in sums)
    return whole**2 / math.fsum(one.weight**2 * one.count for one in sums)
