"""One axis of time, in UTC, with weekdays: a weekend explains more dips than any release."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

from analytics.charts.columns import known
from analytics.charts.theme import colour, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
