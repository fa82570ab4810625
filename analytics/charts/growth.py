"""Who is growing: the p99 of nodes day by day, one small panel per strategy, all on the same axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.charts.columns import floats, known, moments, words
from analytics.charts.days import DAY, extent, utc
from analytics.charts.theme import (
    SMALL,
    WIDE,
    baseline,
    board,
    colour,
    fit,
    label,
    nothing,
    panel,
    role_colour,
    ticks,
    tied,
    title,
)  # fmt: skip
from analytics.page import number as write
from analytics.page.palette import ROLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
HEIGHT = 58.0

_Row = tuple[float, float, float, float, str]


def growth(frame: pd.DataFrame, *, cap: int = 1000, width: int = WIDE) -> Figure:
    """Draws small panels in the order of the frame; days without rows leave gaps.

    Args:
        frame: label, role, day, est_nodes_p99, est_nodes_p99_low, est_nodes_p99_high.
        cap: The engine's limit of nodes.
        width: In pixels.
    """
    lines = _lines(frame)
    if not lines:
        return nothing(width, "No strategy with nodes logged in this window.")
    phone = width < 0.7 * WIDE
    across = 2 if phone else min(6, max(len(lines), 4))
    shown = list(lines.items())[:MOST]
    left, gap = 36.0, 22.0
    room = (width - left - 8 - gap * (across - 1)) / across
    rows = -(-len(shown) // across)
    pitch = HEIGHT + 50
    figure = board(width, 30 + pitch * rows + (16 if len(lines) > MOST else 0))
    values = [value for _, line in shown for row in line for value in row[1:4] if known(value)]
    top = max([cap * 1.08, *(min(value, cap * 1.5) * 1.05 for value in values)])
    window = extent(row[0] for _, line in lines.items() for row in line)
    for place, (name, line) in enumerate(shown):
        x, y = left + (place % across) * (room + gap), 24 + (place // across) * pitch
        role = line[-1][4]
        title_name = role if role in ROLES else "ink"
        down = float(figure.get_size_inches()[1]) * 72
        text = fit(name, room + gap / 2, bold=True)
        label(figure, x / width, 1 - (y - 10) / down, text, name=title_name, bold=True, va="baseline")
        axes = panel(figure, x, y, room, HEIGHT)
        axes.set_ylim(0, top)
        _draw(axes, line, cap, window)
        if place % across == 0:
            ticks(axes, "y", [0, cap], ["0", write.count(cap)])
        if place // across == (len(shown) - 1 - place % across) // across:
            _days(axes, window, room)
    if len(lines) > MOST:
        title(figure, left, 30 + pitch * rows + 4, f"and {len(lines) - MOST} more strategies", name="mute", bold=False)
    return figure


def _lines(frame: pd.DataFrame) -> dict[str, list[_Row]]:
    out: dict[str, list[_Row]] = {}
    columns = (
        words(frame, "label", "no name"), moments(frame, "day"), floats(frame, "est_nodes_p99"),
        floats(frame, "est_nodes_p99_low"), floats(frame, "est_nodes_p99_high"), words(frame, "role"),
    )  # fmt: skip
    for name, day, value, low, high, role in zip(*columns, strict=True):
        out.setdefault(name, []).append((day, value, low, high, role))
    return {name: sorted(line, key=lambda row: (not known(row[0]), row[0])) for name, line in out.items()}


def _draw(axes: Axes, line: list[_Row], cap: int, window: tuple[float, float] | None) -> None:
    first, last = window or (0.0, DAY)
    axes.set_xlim(first - DAY / 4, last + DAY / 4)
    axes.axhline(cap, color=colour("finding"), lw=0.9, zorder=1)
    baseline(axes)
    role = line[-1][4]
    shade = role_colour(role, "mute")
    stretches: list[list[_Row]] = []
    for row in line:
        if not known(row[0], row[1]):
            continue
        # A day without rows is a gap, not a line drawn across what nobody saw.
        if not stretches or row[0] - stretches[-1][-1][0] > 1.5 * DAY:
            stretches.append([])
        stretches[-1].append(row)
    for stretch in stretches:
        days = [row[0] for row in stretch]
        band = [row for row in stretch if known(row[2], row[3])]
        if len(band) > 1:
            axes.fill_between(
                [row[0] for row in band], [row[2] for row in band], [row[3] for row in band], color=shade, alpha=0.18,
                linewidth=0, zorder=2,
            )  # fmt: skip
        if len(stretch) > 1:
            axes.plot(days, [row[1] for row in stretch], color=shade, lw=1.6, zorder=3)
        else:
            axes.plot(days, [stretch[0][1]], "o", ms=3, color=shade, mew=0, zorder=3)
            if band:
                axes.plot(days * 2, [band[0][2], band[0][3]], color=shade, lw=1, alpha=0.6, zorder=2)
    if not stretches:
        label(axes, 0.5, 0.4, "no run logged", size=SMALL, ha="center", transform=axes.transAxes)
        return
    day, value, low, high, _ = stretches[-1][-1]
    # Above the line, and below it where the cap would run through the number.
    under = value > 0.62 * cap
    tied(
        axes, (day, value), write.number(value, low, high), offset=(0, -10 if under else 9), size=SMALL, ha="right",
        name=role if role in ROLES else "mute",
    )  # fmt: skip


def _days(axes: Axes, window: tuple[float, float] | None, room: float) -> None:
    if window is None:
        return
    days = [window[0], window[1]] if window[1] - window[0] >= DAY else [(window[0] + window[1]) / 2]
    form = "%d %b" if room >= 110 else "%d"
    words_ = [f"{utc(day):%a} {utc(day).strftime(form).lstrip('0')}" for day in days]
    ticks(axes, "x", days, words_, length=3)
    first, *rest = axes.get_xticklabels()
    first.set_horizontalalignment("left" if rest else "center")
    for last in rest:
        last.set_horizontalalignment("right")
