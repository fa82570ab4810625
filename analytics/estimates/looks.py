"""What was looked at so often, and not seen: how much of it there may be all the same.

The log is a sample. That a rule matched in none of its logged looks bounds the share of all looks in which it matches, and proves
nothing else; what is called dead for less gets deleted and is missed.
"""

from __future__ import annotations

import calendar
import math
from typing import Final

from analytics.estimates import estimators

FEW, ENOUGH = 30, 300
"""Logged looks below which nothing is judged, and from which a bound is narrow enough to act on."""
MOST_HIDDEN: Final = 0.05
"""Looks that the cut of traces may hide, as a share of those seen, up to which the seen ones still tell."""
ALL_WEEK: Final = 0b1111111

SEEN, NOT_SEEN, ALL_SEEN = "seen", "not seen", "matched in all looks"
CANNOT_MATCH, CANNOT_BUT = "cannot match (proven)", "always matches (proven)"
CUT, FEW_LOOKS, SHARED_ID = "not judged: cut", "not judged: few looks", "not judged: shared id"


def share_at_most(hits: float, looks: float) -> float:
    """Upper bound of a share of which so many hits were seen: exact binomial, one-sided 95 %.

    Clopper and Pearson, *Biometrika* 26, 1934. It is a bound of one place; of many together, one in twenty may fail.
    """
    from scipy import special

    return float(special.betaincinv(hits + 1, looks - hits, estimators.CONFIDENCE)) if hits < looks else 1.0


def effective(looks: int, weight: float | None, most: float | None) -> float:
    """Looks of one weight that bound a share as these do, whose weights differ: never more than there are.

    Where the sampling rate changed, matches may lie where fewest are logged. Of ``N_h`` looks at rate ``r_h`` none matched of
    ``N_h·r_h`` logged ones, with probability ``Π(1 − p_h)^(N_h·r_h) ≤ Π(1 − p_h)^(N_h·r) ≤ (1 − p)^(N·r)``: ``r`` is the least
    rate, ``p`` the share of all looks, and the last step is Jensen's, for the logarithm is concave. So these bound ``p`` as ``N·r``
    looks of one rate would: the sum of weights by the largest.

    Args:
        looks: Logged ones.
        weight: Sum of their weights; None where a weight is not known.
        most: The largest.
    """
    if weight is None or most is None or not most > 0:
        return 0.0
    return min(float(looks), weight / most)


def runs_at_most(share: float, weight: float, most: float) -> float:
    """How many runs a share may be, at most: of the looks as they are estimated, and of what no sampling would show.

    Args:
        share: An upper bound, as of ``share_at_most``.
        weight: Sum of the weights of the looks.
        most: The largest.
    """
    if not share < 1:
        return math.inf
    return math.ceil(max(share * weight, estimators.upper_bound_of_none(1 / most)))


def together(places: int) -> float:
    """By what the bounds of so many places are taken for all of them to hold at once, 95 %.

    Bonferroni: each at ``0.05 / places`` instead of 0.05. With no hit the bound is ``1 − α^(1/n)``, which is concave in ``ln 1/α``
    and 0 at 0, so times the ratio of the logarithms is enough. The places are all that were looked at, not the listed ones only:
    they are listed for what was seen of them (Benjamini and Yekutieli, *J. Am. Stat. Assoc.* 100, 2005, on selected bounds).
    """
    return math.log(max(places, 1) / (1 - estimators.CONFIDENCE)) / math.log(1 / (1 - estimators.CONFIDENCE))


def weekdays(mask: int) -> str:
    """The days of the week of a sum of 2 to the power of their number, Monday's being 0: `Mon–Fri`, `Sat, Sun`."""
    days = [number for number in range(7) if mask >> number & 1]
    names = [calendar.day_abbr[number] for number in days]
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{names[0]}–{names[-1]}"
    return ", ".join(names)


def grade_of(looks: float) -> str:
    """How far to trust that something was not seen, by the number of looks."""
    return "good" if looks >= ENOUGH else "rough" if looks >= FEW else "too few"
