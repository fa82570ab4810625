"""Falls of a counter that no restart explains.

A process that starts anew counts from 0. Where a querier takes each sample from one of two Prometheus servers, or a server lags, a
counter falls a little and goes on, or falls and is back a moment later, although its process has run all the time; and each
such fall, taken for a restart, would count everything once more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.source.counters.series import Floats, Series

BACK_AFTER = 300.0
"""Seconds within which a counter that did not start anew is back: two servers disagree for a few scrapes, not for long."""
SMALL = 8.0
"""A fall of less than one in so many is small. VictoriaMetrics draws the line for its `increase` there, too."""
_LEAST_STEPS = 30
"""Rises below which nobody knows what an ordinary rate is; falls are then restarts."""
_ORDINARY, _FASTER, _SOON = 0.9, 10.0, 20.0
"""A new process may count ten times as fast as nine in ten steps of the old one, and twenty runs at once."""


def without_setbacks(series: Series) -> tuple[Series, int]:
    """The counter as its process would have shown it, and how many falls were none of a restart.

    A fall is a restart, unless the process would have had to count more than it can since: all that it showed before where it is
    back within five minutes, all that it still shows where the fall is small.

    Args:
        series: As it was scraped.
    """
    import numpy as np

    times, values = series.times, series.values.copy()
    falls = np.flatnonzero(np.diff(values) < 0) + 1
    rate = _ordinary_rate(times, values) if len(falls) else None
    if rate is None:
        return series, 0
    count = 0
    for fall in map(int, falls):
        before, now = values[fall - 1], values[fall]
        if now >= before:  # mended with an earlier one
            continue
        soon = int(np.searchsorted(times, times[fall - 1] + BACK_AFTER, side="right"))
        back = fall + int(np.argmax(np.append(values[fall:soon] >= before, True)))
        if back < soon and before > _SOON + _FASTER * rate * (times[back] - times[fall - 1]):
            values[fall:back] = before
        elif (before - now) * SMALL < before and now > _SOON + _FASTER * rate * (times[fall] - times[fall - 1]):
            anew = np.flatnonzero(np.diff(values[fall:]) < 0)
            values[fall : fall + 1 + int(anew[0]) if len(anew) else None] += before - now
        else:
            continue
        count += 1
    return replace(series, values=values), count


def _ordinary_rate(times: Floats, values: Floats) -> float | None:
    """What nine in ten rises stay below, per second; ``None`` where there are too few to tell."""
    import numpy as np

    steps = np.diff(values)
    rates = (steps / np.diff(times))[steps > 0]
    return float(np.quantile(rates, _ORDINARY)) if len(rates) >= _LEAST_STEPS else None
