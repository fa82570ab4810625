"""When did it happen, and to which cases: each failure once, in the lane of its kind; the points of each case."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analytics.reports.charts.columns import (
    as_seconds,
    column,
    floats,
    is_missing,
    known,
    moments,
    need,
    numbers,
    words,
)
from analytics.reports.charts.theme import (
    SMALL,
    TEXT,
    WIDE,
    add_axes,
    annotate,
    colour,
    empty_figure,
    extent,
    fit,
    new_figure,
    pixels,
    role_colour,
    ticks,
    time_axis,
    title,
    utc,
)
from analytics.reports.page import number as write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12
ROW = 34.0


def cases(frame: pd.DataFrame, *, width: int = WIDE) -> Figure:
    """Draws a dot with its interval per case and version, the points it pays at the right.

    Args:
        frame: case_name (NULL is "no case"), label, role, share, share_low, share_high, points_mean.
        width: In pixels.

    Only case_name, label and share are needed. With the role "finding" a version is drawn in its colour.

    Example:
        frame = lake.sql('''
            with runs as (
              select e.case_name, 'v' || strategy_version as label, sum(e.sample_weight) as est_runs,
                     avg(e.points) as points_mean
                from executions e join definitions d using (strategy_id, strategy_version)
               where e.status = 'ok' and d.family_name = 'Speed bonus' and strategy_version in (2, 3) group by all)
            select *, if(label = 'v3', 'finding', 'before') as role,
                   est_runs / sum(est_runs) over (partition by label) as share from runs
        ''').df()
        charts.cases(frame)

    Raises:
        UsageError: A column is missing.
    """
    need(cases, frame, "case_name label share")
    names = ["no case" if is_missing(value) else str(value) for value in column(frame, "case_name")]
    roles, labels = words(frame, "role"), words(frame, "label")
    shares = floats(frame, "share")
    order = sorted(set(names), key=lambda name: (-max(_own(shares, names, name), default=0.0), name))
    shown = order[:MOST]
    if not shown:
        return empty_figure(width, "No case to compare.")
    phone = width < 0.7 * WIDE
    row = ROW + 16 if phone else ROW
    left, right = (4.0, 84.0) if phone else (232.0, 136.0)
    room = width - left - right
    top = 40.0
    figure = new_figure(width, top + row * len(shown) + 46)
    lows, highs, points = floats(frame, "share_low"), floats(frame, "share_high"), floats(frame, "points_mean")
    has_interval = not phone and any(known(end) for end in (*lows, *highs))
    title(figure, 0, 9, "Share of runs per case" + (", with 95 % interval" if has_interval else ""))
    axes = add_axes(figure, left, top, room, row * len(shown))
    reach = max((value for value in (*shares, *highs) if known(value)), default=0.0) or 1.0
    axes.set_xlim(0, min(reach * 1.06, 1.02) if reach <= 1.02 else reach * 1.06)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    for at, name in enumerate(shown):
        own = sorted(
            (index for index, found in enumerate(names) if found == name), key=lambda index: roles[index] == "finding"
        )
        axes.axhline(at + 0.5, color=colour("rule"), lw=0.8, zorder=1)
        lift = 0.12 if phone else 0.0
        for rank, index in enumerate(own):
            y = at + lift + (rank - (len(own) - 1) / 2) * 9 / row
            _dot(axes, y, shares[index], lows[index], highs[index], roles[index])
        muted = "mute" if name == "no case" else "ink"
        if phone:
            annotate(axes, (0, at - 0.5), fit(name, room), offset=(0, -11), name=muted)
        else:
            annotate(axes, (0, at), fit(name, left - 16), offset=(-left, 0), name=muted)
        _paid(axes, at + lift, [points[index] for index in own])
    _key(axes, list(zip(labels, roles, strict=True)))
    places = [place for place in (0.0, 0.25, 0.5, 0.75, 1.0) if place <= axes.get_xlim()[1]]
    if len(places) < 3:
        places = [place / 20 for place in range(21) if place / 20 <= axes.get_xlim()[1]] or [0.0]
        places = places[:: max(len(places) // 4, 1)]
    ticks(axes, "x", places, [write.percent(place) if place else "0" for place in places], length=3)
    if len(order) > MOST:
        annotate(
            axes, (0, 0), f"and {len(order) - MOST} rarer cases", coords="axes fraction", offset=(0, -30), size=SMALL
        )
    return figure


def _own(values: list[float], names: list[str], name: str) -> list[float]:
    return [value for value, found in zip(values, names, strict=True) if found == name and known(value)]


def _dot(axes: Axes, y: float, share: float, low: float, high: float, role: str) -> None:
    if not known(share):
        return
    shade = role_colour(role, "mute")
    if known(low, high):
        axes.plot([low, high], [y, y], color=shade, lw=1.6, zorder=3, solid_capstyle="butt")
    # The shape tells the versions apart where colour does not.
    mark = "D" if role == "finding" else "o"
    axes.plot([share], [y], mark, ms=6 if mark == "D" else 7, color=shade, mew=0, zorder=4)


def _paid(axes: Axes, y: float, points: list[float]) -> None:
    paid = [write.number(value) for value in points if known(value)]
    if not paid:
        text, changed = "", False
    else:
        changed = len(set(paid)) > 1
        text = f"{paid[0]} → {paid[-1]} points" if changed else f"{paid[0]} {'point' if paid[0] == '1' else 'points'}"
    annotate(
        axes, (1, y), text, coords=("axes fraction", "data"), offset=(10, 0), bold=changed,
        name="finding" if changed else "mute", size=SMALL,
    )  # fmt: skip


def _key(axes: Axes, named: list[tuple[str, str]]) -> None:
    seen = dict(sorted(set(named), key=lambda pair: pair[1] == "finding"))
    place = 0.0
    for name, role in seen.items():
        text = f"{'◆' if role == 'finding' else '●'} {fit(name, 120)}"
        shade = role if role in ("before", "finding") else "mute"
        annotate(axes, (0, 1), text, coords="axes fraction", offset=(place, 11), name=shade, bold=True)
        place += 0.62 * 12 * len(text) + 14


LANES = {"limit": "o", "canary": "s", "unknown": "v", "timeout": "D", "error": "^"}
_WORDS = {"canary": "sandbox canary", "unknown": "unknown code"}
MOST_MARKS = 1000
"""In a lane; of more, at most two are drawn within one pixel: they would lie on each other."""
_ALERT = ("limit", "canary")


def failure_strip(frame: pd.DataFrame, since: Any = None, until: Any = None, *, width: int = WIDE) -> Figure:
    """Draws one open mark per failed run, and a sentence per lane.

    Args:
        frame: created_at, lane (limit, canary, unknown, timeout, error), label (the strategy), logged_count (one when missing).
        since: Start of the window; the first row when not given.
        until: End of the window; the last row when not given.
        width: In pixels.

    Only created_at and lane are needed.

    Example:
        frame = lake.sql('''
            select e.created_at, d.family_name as label,
                   case when e.status in ('limit', 'timeout') then e.status else 'error' end as lane
              from executions e join definitions d using (strategy_id, strategy_version)
             where e.status <> 'ok'
        ''').df()
        charts.failure_strip(frame)

    Raises:
        UsageError: A column is missing.
    """
    need(failure_strip, frame, "created_at lane")
    lanes = words(frame, "lane", "error")
    counts = [int(count) if known(count) else 1 for count in numbers(frame, "logged_count", 1.0)]
    rows = list(zip(moments(frame, "created_at"), lanes, words(frame, "label", "no strategy"), counts, strict=True))
    present = [*(lane for lane in LANES if lane in lanes), *sorted(set(lanes) - set(LANES))]
    window = extent([as_seconds(since), as_seconds(until)]) or extent(moment for moment, *_ in rows)
    if not present or window is None:
        return empty_figure(width, "No failed run logged in this window.")
    phone = width < 0.7 * WIDE
    row = 46.0 if phone else 29.0
    left = 0.0 if phone else 70.0
    room = width - left - 10
    figure = new_figure(width, row * len(present) + 26)
    axes = add_axes(figure, left, 0, room, row * len(present))
    axes.set_ylim(len(present) * row, 0)
    axes.set_xlim(*window)
    for index, lane in enumerate(present):
        own = [(moment, label, count) for moment, found, label, count in rows if found == lane]
        y = index * row + (32 if phone else row / 2)
        name = "finding" if lane in _ALERT else "ink"
        axes.plot(window, [y, y], color=colour("rule"), lw=1, zorder=1)
        known_moments = sorted(moment for moment, *_ in own if known(moment))
        if len(known_moments) > MOST_MARKS:
            known_moments = _thinned(known_moments, (window[1] - window[0]) / room)
        # Marks of a burst lie on each other; a small fixed shake shows that they are many.
        shake = [((k * 0.618) % 1 - 0.5) * (8 if len(known_moments) > 1 else 0) for k in range(len(known_moments))]
        axes.plot(
            known_moments, [y + shift for shift in shake], LANES.get(lane, "x"), ms=5, mfc="none",
            mec=colour(name), mew=1, ls="none", zorder=3, clip_on=False,
        )  # fmt: skip
        text = _sentence(lane, own)
        if phone:
            annotate(axes, (window[0], y), fit(text, room, SMALL), offset=(0, 17), name=name, size=SMALL)
            continue
        annotate(axes, (window[0], y), fit(lane, left - 8, bold=True), offset=(-left, 0), name=name, bold=True)
        _beside_marks(axes, window, room, y, known_moments, text, name)
    time_axis(axes, *window, room)
    return figure


def _thinned(marks: list[float], pixel: float) -> list[float]:
    """At most two of them within one pixel."""
    shown: list[float] = []
    for mark in marks:
        if len(shown) < 2 or mark - shown[-2] >= pixel:
            shown.append(mark)
    return shown


def _beside_marks(
    axes: Any, window: tuple[float, float], room: float, y: float, marks: list[float], text: str, name: str
) -> None:
    """Puts the sentence into the widest gap between the marks; the line behind it is interrupted."""
    pixel = room / (window[1] - window[0])
    places = [0.0, *((mark - window[0]) * pixel for mark in marks), room]
    gaps = [(after - before, before, after) for before, after in pairwise(places)]
    size, before, after = max(gaps)
    text = fit(text, size - 24)
    wide = pixels(text)
    # Close to the marks it speaks of: at the end of the gap that has marks.
    right_of = before > 0 or after >= room
    edge = before + 12 if right_of else after - 12
    # The reader's fonts are narrower than the estimate, which is made for cutting.
    cut = (edge - 5, edge + 0.84 * wide) if right_of else (edge - 0.84 * wide, edge + 5)
    axes.plot(
        [window[0] + place / pixel for place in cut], [y, y], color=colour("bg"), lw=6, zorder=2,
        solid_capstyle="butt",
    )  # fmt: skip
    annotate(axes, (window[0] + edge / pixel, y), text, name=name, size=TEXT, ha="left" if right_of else "right")


def _sentence(lane: str, own: list[tuple[float, str, int]]) -> str:
    found = sorted(moment for moment, *_ in own if known(moment))
    names = sorted({label for _, label, _ in own})
    what = f"{write.count(sum(count for *_, count in own))} × {_WORDS.get(lane, lane)}"
    when = ""
    if found:
        first, last = utc(found[0]), utc(found[-1])
        length = found[-1] - found[0]
        if len(found) > 1 and length < 60:
            when = f" within {max(round(length), 1)} s at {write.clock(first)}"
        elif write.clock(first) == write.clock(last) and length < 60:
            when = f" at {write.clock(first)}"
        elif first.date() == last.date():
            when = f", {write.clock(first)} – {write.clock(last)}"
        else:
            when = f", {write.when(first)[:-6]} – {write.when(last)[:-6]}"
    who = f"all {fit(names[0], 160)}" if len(names) == 1 and len(own) > 1 else fit(names[0], 160)
    return f"{what}{when}, {who if len(names) == 1 else f'{len(names)} strategies'}"
