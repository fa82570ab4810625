"""What no drawn row shows: how many runs may be unlike all of them, and how far a run may lie off."""

from __future__ import annotations

import math

from analytics.estimate import TAIL

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
