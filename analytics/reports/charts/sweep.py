"""What if: points a day at each value that was tried, their intervals, and what was paid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from analytics.reports.charts.columns import column, floats, known, need
from analytics.reports.charts.theme import (
    SMALL,
    WIDE,
    add_axes,
    annotate,
    baseline,
    colour,
    empty_figure,
    fit,
    new_figure,
    ticks,
    title,
)
from analytics.reports.charts.timeline import from_zero
from analytics.reports.page import number as write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT: Final = 190.0
_LABEL: Final = 64.0


def sweep(frame: pd.DataFrame, *, budget: float | None = None, width: int = WIDE) -> Figure:
    """Draws one point and interval a value; what undecided runs may add lies lightly around it.

    Args:
        frame: value, points_per_day, points_per_day_low, points_per_day_high, worst_points_per_day_low,
            worst_points_per_day_high, paid_per_day. Values that are no numbers stand side by side.
        budget: Points a day, as a line.
        width: In pixels.

    Only value and points_per_day are needed.

    Example:
        charts.sweep(analytics.sweep(lake, program, "rule far › assign", values=range(10, 16)).frame)

    Raises:
        UsageError: A column is missing.
    """
    need(sweep, frame, "value points_per_day")
    points = floats(frame, "points_per_day")
    if not any(map(known, points)):
        return empty_figure(width, "No value with points to show.")
    values = column(frame, "value")
    are_numbers = all(
        isinstance(one, int | float) and not isinstance(one, bool) and known(float(one)) for one in values
    )
    at = [float(str(one)) for one in values] if are_numbers else [float(place) for place in range(len(values))]
    phone = width < 0.7 * WIDE
    left, top = 46.0, 34.0
    room = width - left - (6 if phone else 136)
    figure = new_figure(width, top + HEIGHT + 34)
    title(figure, 0, 10, "Points a day at each value")
    axes = add_axes(figure, left, top, room, HEIGHT)
    margin = max((max(at) - min(at)) * 0.06, 0.5 if not are_numbers or len(at) < 2 else 0.0)
    axes.set_xlim(min(at) - margin, max(at) + margin)
    low, high = floats(frame, "points_per_day_low"), floats(frame, "points_per_day_high")
    least, most = floats(frame, "worst_points_per_day_low"), floats(frame, "worst_points_per_day_high")
    paid = [one for one in floats(frame, "paid_per_day") if known(one)]
    lines = [one for one in (*paid, budget) if one is not None]
    from_zero(axes, [*points, *lines], [*low, *high, *least, *most], 4)
    baseline(axes)
    for place, *ends in zip(at, least, most, strict=True):
        if known(*ends):
            axes.plot([place, place], ends, color=colour("still"), lw=7, alpha=0.5, solid_capstyle="butt", zorder=1)
    for place, value, *ends in zip(at, points, low, high, strict=True):
        if known(*ends):
            axes.plot([place, place], ends, color=colour("finding"), lw=1.6, zorder=3)
        if known(value):
            axes.plot([place], [value], "o", ms=5, color=colour("finding"), mew=0, zorder=4)
    _across(axes, "was paid", paid[0] if paid else math.nan, "mute", phone=phone)
    _across(axes, "budget", math.nan if budget is None else budget, "worse", phone=phone)
    every = max(1, math.ceil(len(at) * _LABEL / room))
    shown = sorted(zip(at, values, strict=True), key=lambda one: one[0])[::every]
    ticks(axes, "x", [place for place, _ in shown], [_word(one, are_numbers=are_numbers) for _, one in shown], length=3)
    return figure


def _across(axes: Axes, text: str, height: float, name: str, *, phone: bool) -> None:
    if not known(height):
        return
    axes.axhline(height, color=colour(name), lw=1.2, ls=(0, (4, 3)), zorder=2)
    said = f"{text} {write.number(height)}"
    if phone:
        annotate(
            axes, (1, height), said, coords=("axes fraction", "data"), offset=(0, 8), name=name, size=SMALL, ha="right"
        )
    else:
        annotate(axes, (1, height), said, coords=("axes fraction", "data"), offset=(10, 0), name=name)


def _word(value: object, *, are_numbers: bool) -> str:
    return write.exact(value) if are_numbers else fit(str(value), _LABEL, SMALL)
