"""One axis of time, in UTC, with weekdays: a weekend explains more dips than any release."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

from analytics.reports.charts.columns import known
from analytics.reports.charts.theme import SMALL, WIDE, annotate, colour, ticks
from analytics.reports.page import number as write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEYOND = 1.5
"""How far the picture goes beyond the cap, where stopped runs are drawn."""


def places(width: int) -> tuple[float, float, bool]:
    """Left edge and width of the panel in pixels, and whether it is a phone's."""
    phone = width < 0.7 * WIDE
    left = 40.0
    return left, width - left - (4 if phone else 164), phone


def nodes_axis(axes: Axes, cap: float, nodes: Iterable[float], phone: bool, name: str = "cap") -> float:
    """Sets the axis; returns its lower end. Both pictures get the same one for the same runs."""
    least = min((value for value in nodes if known(value) and value > 0), default=10.0)
    low = 0.8 if least < 4 else 3.0 if least < 8 else 8.0
    low = min(low, cap / 10)
    axes.set_xscale("log")
    axes.set_xlim(low, cap * BEYOND)
    axes.axvspan(cap, cap * BEYOND, facecolor=colour("finding-pale"), edgecolor="none", zorder=0)
    axes.axvline(cap, color=colour("finding"), lw=1.5, zorder=5)
    marks = (1, 10, 100, 1000, 10_000, 100_000) if phone else (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000)
    shown = [mark for mark in marks if low <= mark < cap * 0.7]
    ticks(axes, "x", [*shown, cap], [write.count(mark) for mark in (*shown, cap)], length=3)
    spine = axes.spines["bottom"]
    spine.set_visible(True)
    spine.set_color(colour("still"))
    if name:
        text = f"{name} {write.count(cap)}"
        annotate(
            axes, (cap, 1), text, coords=("data", "axes fraction"), offset=(0, 8), name="finding", size=SMALL,
            ha="right" if phone else "center",
        )  # fmt: skip
    return low


DAY = 86_400.0
HOUR = 3_600.0
_STEPS = [HOUR / 12, HOUR / 4, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]
_STEPS += [DAY * days for days in (1, 2, 4, 7, 14, 28, 56, 112, 364)]
_LABEL = 66.0


def extent(moments: Iterable[float]) -> tuple[float, float] | None:
    """First and last of the moments that are known; a single one gets an hour around it."""
    found = [moment for moment in moments if known(moment)]
    if not found:
        return None
    first, last = min(found), max(found)
    return (first, last) if last > first else (first - HOUR / 2, last + HOUR / 2)


def utc(moment: float) -> dt.datetime:
    """Seconds since 1970 as a time in UTC."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=moment)


def time_axis(axes: Axes, since: float, until: float, room: float) -> None:
    """Labels the time below the axes; as many labels as the room in pixels holds."""
    places, labels = _places(since, until, room)
    axes.set_xlim(since, until)
    ticks(axes, "x", places, labels, length=3)
    # The first label would stick out to the left of the page, the last one to the right.
    for place, text in zip(places, axes.get_xticklabels(), strict=True):
        at = (place - since) / (until - since) * room
        text.set_horizontalalignment("left" if at < 26 else "right" if room - at < 26 else "center")
    spine = axes.spines["bottom"]
    spine.set_visible(True)
    spine.set_color(colour("still"))
    spine.set_linewidth(1)


def _places(since: float, until: float, room: float) -> tuple[list[float], list[str]]:
    length = max(until - since, 1.0)
    step = next((step for step in _STEPS if length / step * _LABEL <= room), _STEPS[-1])
    # Weeks start on Monday; 1970 began on a Thursday, so day 4 was the first one.
    origin = 4 * DAY if step >= 7 * DAY else 0.0
    place = since - (since - origin) % step
    places, labels, month = [], [], None
    while place <= until + 1:
        if place >= since - 1:
            moment = utc(place)
            day = f"{moment:%a} {moment.day}"
            if month != moment.month:
                day, month = f"{day} {moment:%b}", moment.month
            places.append(place)
            labels.append(day if step >= DAY or (moment.hour, moment.minute) == (0, 0) else f"{moment:%H:%M}")
        place += step
    return places, labels


def bin_words(seconds: float) -> str:
    """The length of a bin in words: "6 h", "a day", "15 min"."""
    if not known(seconds) or seconds <= 0:
        return "a bin"
    if seconds >= DAY:
        days = round(seconds / DAY)
        return "day" if days == 1 else f"{days} days"
    if seconds >= HOUR:
        hours = round(seconds / HOUR)
        return "hour" if hours == 1 else f"{hours} h"
    return f"{max(round(seconds / 60), 1)} min"
