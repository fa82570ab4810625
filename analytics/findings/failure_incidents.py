"""The finding of an error code that grew: the runs it concerns, those before them, and the version that came then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from analytics import differences
from analytics.findings.activations import Activation
from analytics.findings.failure_growth import Growth
from analytics.findings.finding import Incident
from analytics.findings.movements import DAY
from analytics.findings.sides import as_time

if TYPE_CHECKING:
    from analytics.findings.sides import Runs


def failing(
    runs: Runs, scope: slice, inside: slice, growth: Growth, border: Callable[[int, int], Activation | None]
) -> Incident:
    """What grew, as an incident.

    Args:
        runs: All rows.
        scope: The rows before the window that it is compared with, and the window's.
        inside: The window's rows.
        growth: The code.
        border: The version that came between two times.
    """
    if not growth.is_dated:
        return _of_window(runs, scope, inside, growth)
    since = int(runs.time[growth.start])
    stop = growth.stop if growth.stop is not None else inside.stop
    # Runs before the first failure of the episode; without it, not in the same microsecond.
    first = runs.between(since - 7 * DAY, since)
    before = runs.side("before", runs.where(first)) if first.stop > first.start else None
    # An episode that is over ends with its last failure: runs after it are none of its runs.
    after = runs.side("since then", np.arange(growth.start, stop))
    until = as_time(runs.time[stop - 1]) if growth.stop is not None else None
    low, high = int(runs.time[growth.low]), int(runs.time[growth.high])
    return Incident(
        "failures",
        before,
        after,
        differences.difference(before.values, after.values) if before else None,
        code=growth.code,
        code_since=as_time(since),
        code_until=until,
        since=as_time(since),
        since_low=as_time(low),
        since_high=as_time(high),
        until=until,
        border=border(low, high),
    )


def _of_window(runs: Runs, scope: slice, inside: slice, growth: Growth) -> Incident:
    """The finding of a code that fails many of the window's runs, at no moment more than at others."""
    before = None
    if not growth.is_steady and inside.start > scope.start:
        before = runs.side("before", np.arange(scope.start, inside.start))
    after = runs.side("this window", np.arange(inside.start, inside.stop))
    points = differences.difference(before.values, after.values) if before else None
    first = inside.start + int(np.argmax(runs.code[inside] == runs.codes.index(growth.code)))
    return Incident("failures", before, after, points, code=growth.code, code_since=as_time(runs.time[first]))
