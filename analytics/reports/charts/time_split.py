"""Rules or fields: the median time of each strategy as one bar, cut into what it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analytics.reports.charts.columns import NAN, floats, known, need, words
from analytics.reports.charts.theme import (
    SMALL,
    WIDE,
    add_axes,
    annotate,
    colour,
    empty_figure,
    fit,
    label,
    new_figure,
    pixels,
)
from analytics.reports.page import number as write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12
ROW, ROW_PHONE, BAR = 34.0, 62.0, 15.0

# Fill, texture and colour of the text inside. Texture tells apart what colour may not.
_LOOKS: dict[str, tuple[str, str, str]] = {
    "walk": ("d4", "", "bg"),
    "field": ("d2", "dots", "ink"),
    "blamed": ("finding", "dots", "bg"),
    "built-in": ("d3", "cross", "ink"),
    "rest": ("rule", "", "ink"),
    "cannot tell": ("bg", "lines", "ink"),
}
_KEY = (
    ("walk", "walk, grows with nodes"),
    ("blamed", "field that makes it slow"),
    ("field", "other analytics field"),
    ("built-in", "wrapped built-in"),
    ("rest", "rest of every run"),
    ("cannot tell", "cannot tell"),
)


@dataclass
class _Bar:
    total: float
    low: float
    high: float
    note: str
    role: str
    parts: list[tuple[str, str, float]] = field(default_factory=list)


def time_split(frame: pd.DataFrame, *, width: int = WIDE) -> Figure:
    """Draws a bar per strategy, in the order of the frame; the total's interval is the thin line at its end.

    Args:
        frame: A row per part: label, kind (walk, field, blamed, built-in, rest, cannot tell), name, ms; and, the same in all
            rows of a label, total, total_low, total_high, note (what to know about it) and role (colour of the note).
        width: In pixels.

    Only label, kind, ms and total are needed. The runaway report splits better than a straight line does.

    Example:
        frame = lake.sql('''
            with fits as (
              select d.family_name as label, avg(e.duration_ms) as total, regr_intercept(e.duration_ms, e.nodes_executed) as rest,
                     regr_slope(e.duration_ms, e.nodes_executed) * avg(e.nodes_executed) as walk
                from executions e join definitions d using (strategy_id, strategy_version)
               where e.status = 'ok' group by all having count(*) >= 60)
            from fits unpivot (ms for kind in (walk, rest)) order by total desc
        ''').df()
        charts.time_split(frame)

    Raises:
        UsageError: A column is missing.
    """
    need(time_split, frame, "label kind ms total")
    bars = _bars(frame)
    if not bars:
        return empty_figure(width, "No strategy has enough runs to split their time.")
    phone = width < 0.7 * WIDE
    shown = list(bars.items())[:MOST]
    pitch = ROW_PHONE if phone else ROW
    left, right = (0.0, 70.0) if phone else (176.0, 330.0)
    room = width - left - right
    kinds = {kind for _, bar in shown for kind, _, _ in bar.parts}
    lines = _key_lines([(kind, text) for kind, text in _KEY if kind in kinds], width)
    more = 18.0 if len(bars) > MOST else 0.0
    figure = new_figure(width, pitch * len(shown) + more + 20 * len(lines) + 12)
    axes = add_axes(figure, left, 0, room, pitch * len(shown))
    reach = (
        max((max(bar.total, bar.high if known(bar.high) else 0.0) for _, bar in shown if known(bar.total)), default=1.0)
        or 1.0
    )
    axes.set_xlim(0, room)
    axes.set_ylim(pitch * len(shown), 0)
    for at, (name, bar) in enumerate(shown):
        middle = at * pitch + (30 if phone else pitch / 2)
        _draw(axes, bar, middle, room / reach)
        if phone:
            annotate(axes, (0, at * pitch + 11), fit(name, width - 8, bold=True), name="ink", bold=True)
            annotate(axes, (0, at * pitch + 49), fit(bar.note, width - 8, SMALL), name=bar.role or "mute", size=SMALL)
        else:
            annotate(axes, (0, middle), fit(name, left - 14, bold=True), offset=(-left, 0), name="ink", bold=True)
            place = (1, middle)
            note = fit(bar.note, right - 74)
            annotate(axes, place, note, coords=("axes fraction", "data"), offset=(70, 0), name=bar.role or "mute")
    if more:
        annotate(axes, (-left, pitch * len(shown) + 8), f"and {len(bars) - MOST} more strategies")
    _draw_key(figure, lines, width, pitch * len(shown) + more + 8)
    return figure


def _bars(frame: pd.DataFrame) -> dict[str, _Bar]:
    out: dict[str, _Bar] = {}
    columns: list[list[Any]] = [
        words(frame, "label", "no name"), words(frame, "kind"), words(frame, "name"), floats(frame, "ms"),
        floats(frame, "total"), floats(frame, "total_low"), floats(frame, "total_high"), words(frame, "note"), words(frame, "role"),
    ]  # fmt: skip
    for name, kind, part, ms, total, low, high, note, role in zip(*columns, strict=True):
        bar = out.setdefault(name, _Bar(total, low, high, note, role))
        if known(ms) and ms > 0 and kind in _LOOKS:
            bar.parts.append((kind, part, ms))
    return {name: bar for name, bar in out.items() if known(bar.total) and bar.total > 0}


def _draw(axes: Axes, bar: _Bar, middle: float, scale: float) -> None:
    # Parts are estimates of their own and may add up to more than the total: the bar ends where the total does.
    fits = min(1.0, bar.total / (sum(ms for _, _, ms in bar.parts) or 1.0)) * scale
    start = 0.0
    for kind, name, ms in bar.parts:
        wide = ms * fits
        text = name or kind
        inside = wide > pixels(text, SMALL) + 12 and kind != "cannot tell"
        _block(axes, kind, start, middle - BAR / 2, wide, BAR, clear=pixels(text, SMALL) if inside else 0.0)
        if inside:
            ink = _LOOKS[kind][2]
            label(axes, start + wide / 2, middle + 4, text, name=ink, size=SMALL, ha="center", va="baseline", zorder=4)
        start += wide
    end = bar.total * scale
    if known(bar.low, bar.high):
        low, end = max(bar.low, 0.0) * scale, max(bar.high, bar.total) * scale
        axes.plot([low, end], [middle, middle], color=colour("ink"), lw=1, zorder=5, clip_on=False)
        for place in (low, end):
            axes.plot([place] * 2, [middle - 3.5, middle + 3.5], color=colour("ink"), lw=1, zorder=5, clip_on=False)
    annotate(axes, (end, middle), write.ms(bar.total, bar.low, bar.high), offset=(6, 0), name="ink")


def _block(axes: Axes, kind: str, left: float, top: float, wide: float, high: float, *, clear: float = 0) -> None:
    """A rectangle in pixels with its fill and texture; `clear` pixels in the middle are kept free for letters."""
    from matplotlib.patches import Rectangle

    fill, texture, _ = _LOOKS[kind]
    edge, inset = ("mute", 0.4) if kind == "cannot tell" else ("bg", 0.0)
    wide = max(wide, 0.8)
    axes.add_patch(
        Rectangle(
            (left + inset, top), max(wide - 2 * inset, 0.4), high, facecolor=colour(fill), edgecolor=colour(edge), lw=0.8,
            zorder=2, clip_on=False,
        )
    )  # fmt: skip
    # Drawn as lines: a pattern of the SVG would keep its colours when the page goes dark.
    x, y = _strokes(texture, left, top, wide, high, (wide - clear) / 2 if clear else math.inf)
    if x:
        ink = colour("mute" if kind == "cannot tell" else "bg")
        dots = {"marker": "o", "ms": 2.2, "mew": 0, "ls": ""} if texture == "dots" else {"lw": 0.9}
        axes.plot(x, y, color=ink, zorder=3, clip_on=False, solid_capstyle="butt", **dots)


def _strokes(
    texture: str, left: float, top: float, wide: float, high: float, margin: float
) -> tuple[list[float], list[float]]:
    """Points of a texture inside a rectangle, not farther from its ends than the margin; NaN lifts the pen."""
    x: list[float] = []
    y: list[float] = []
    if texture == "dots":
        columns = max(int((wide - 2) // 6), 0)
        for column in range(columns):
            place = 4.0 + 6 * column
            if min(place, wide - place) < margin - 3:
                x += [left + place] * 2
                y += [top + high * (0.5 if column % 2 else 0.27), top + high * (0.5 if column % 2 else 0.73)]
    if texture in ("lines", "cross"):
        for at in range(0, int(wide + high), 6):
            first, last = max(at - high, 0.0), min(float(at), wide)
            if last - first > 0.5 and min(last, wide - first) < margin:
                x += [left + first, left + last, NAN]
                y += [top + at - first, top + at - last, NAN]
                if texture == "cross":
                    x += [left + wide - first, left + wide - last, NAN]
                    y += [top + at - first, top + at - last, NAN]
    return x, y


def _key_lines(entries: list[tuple[str, str]], width: int) -> list[list[tuple[str, str, float]]]:
    """The key, broken where the width ends; each entry with its place."""
    lines: list[list[tuple[str, str, float]]] = [[]]
    place = 0.0
    for kind, text in entries:
        wide = 20 + pixels(text, SMALL) + 14
        if place + wide > width and lines[-1]:
            lines.append([])
            place = 0.0
        lines[-1].append((kind, text, place))
        place += wide
    return lines


def _draw_key(figure: Figure, lines: list[list[tuple[str, str, float]]], width: int, top: float) -> None:
    down = 20.0 * len(lines)
    axes = add_axes(figure, 0, top, width, down)
    axes.set_xlim(0, width)
    axes.set_ylim(down, 0)
    for number, line in enumerate(lines):
        for kind, text, place in line:
            _block(axes, kind, place, 20 * number + 5, 14, 10)
            label(axes, place + 20, 20 * number + 14, text, size=SMALL, va="baseline")
