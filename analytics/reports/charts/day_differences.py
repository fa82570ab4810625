"""Does it hold day by day: a mean with its interval for every day, beside nothing and beside the mean of all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analytics.reports.charts.columns import floats, known, moments, need, words
from analytics.reports.charts.theme import (
    DAY,
    SMALL,
    WIDE,
    add_axes,
    annotate,
    colour,
    empty_figure,
    new_figure,
    role_colour,
    time_axis,
)
from analytics.reports.page import number as write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_HIGH = 110.0


def day_differences(frame: pd.DataFrame, *, middle: float = math.nan, width: int = WIDE) -> Figure:
    """Draws a dot with its interval per day; the line is nothing, the dashed one the mean of all days.

    Args:
        frame: day, value, value_low, value_high, role (finding for a day apart; blue without).
        middle: The mean of all days; not drawn where it is not known.
        width: In pixels.

    Only day and value are needed. An interval that is open on a side is drawn to the edge.

    Example:
        frame = lake.sql('''
            select day, avg(points) as value, value - 2 * stddev(points) / sqrt(count(*)) as value_low,
                   value + 2 * stddev(points) / sqrt(count(*)) as value_high
              from executions where status = 'ok' group by day order by day
        ''').df()
        charts.day_differences(frame)

    Raises:
        UsageError: A column is missing.
    """
    need(day_differences, frame, "day value")
    columns = (
        moments(frame, "day"),
        *(floats(frame, name) for name in ("value", "value_low", "value_high")),
        words(frame, "role"),
    )
    days = [row for row in zip(*columns, strict=True) if known(row[0], row[1])]
    if not days:
        return empty_figure(width, "No day to compare.")
    phone = width < 0.7 * WIDE
    left, right = 44.0, (8.0 if phone else 150.0)
    room = width - left - right
    figure = new_figure(width, _HIGH + 40)
    axes = add_axes(figure, left, 10, room, _HIGH)
    seen = [0.0, *(value for _, *ends, _ in days for value in ends if known(value))]
    # halves: the whole reach of the largest numbers is beyond a number
    pad = 0.12 * (max(seen) / 2 - min(seen) / 2) or 0.5
    low, high = min(seen) - pad, max(seen) + pad
    axes.set_ylim(low, high)
    first, last = min(day for day, *_ in days), max(day for day, *_ in days) + DAY
    axes.plot([first, last], [0, 0], color=colour("still"), lw=1, zorder=1)
    if known(middle):
        axes.plot([first, last], [middle, middle], color=colour("mute"), lw=1, ls=(0, (4, 3)), zorder=1)
        if not phone:
            text = f"all days {write.number(middle, sign=True)}"
            annotate(axes, (1, middle), text, coords=("axes fraction", "data"), offset=(8, 0), size=SMALL)
    for day, value, under, over, role in days:
        shade, at = role_colour(role, "before"), day + DAY / 2
        ends = [under if known(under) else low, over if known(over) else high]
        axes.plot([at, at], ends, color=shade, lw=1.6, zorder=3, solid_capstyle="butt")
        axes.plot([at], [value], "D" if role else "o", ms=6, color=shade, mew=0, zorder=4)
    for place in _ticks(seen, high - low):
        annotate(
            axes,
            (0, place),
            write.number(place, sign=True),
            coords=("axes fraction", "data"),
            offset=(-8, 0),
            size=SMALL,
            ha="right",
        )
    time_axis(axes, first, last, room)
    return figure


def _ticks(seen: list[float], reach: float) -> list[float]:
    """Nothing, and the largest numbers where their words have room beside it."""
    # halves: the reach of the largest numbers is beyond a number
    return [
        0.0,
        *(end for end in dict.fromkeys((max(seen), min(seen))) if abs(end) / 2 / (reach / 2) * _HIGH > 2 * SMALL),
    ]
