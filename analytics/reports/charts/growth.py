"""Who is growing: the p99 of nodes day by day, one small panel per strategy, all on the same axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from analytics.reports.charts.columns import floats, known, moments, need, words
from analytics.reports.charts.theme import (  # fmt: skip
    DAY,
    SMALL,
    WIDE,
    add_axes,
    annotate,
    baseline,
    colour,
    empty_figure,
    extent,
    fit,
    label,
    new_figure,
    role_colour,
    ticks,
    title,
    utc,
)
from analytics.reports.page import number as write
from analytics.reports.page.inline import ROLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 24
HEIGHT = 58.0


class _Day(NamedTuple):
    """One day of a strategy: seconds since 1970, nodes with their interval, the role of its colour."""

    day: float
    nodes: float
    low: float
    high: float
    role: str


class _Fit(NamedTuple):
    """A fitted line: its last day and how many it spans; the level there, and nodes a day."""

    day: float
    days: float
    level: float
    slope: float

    def meets(self, cap: int) -> float:
        """When a rising line meets the cap."""
        return self.day + (cap - self.level) / self.slope * DAY


def growth(
    frame: pd.DataFrame,
    lines: pd.DataFrame | None = None,
    versions: pd.DataFrame | None = None,
    *,
    cap: int = 1000,
    width: int = WIDE,
) -> Figure:
    """Draws small panels in the order of the frame; days without rows leave gaps.

    Args:
        frame: label, role, day, est_nodes_p99, est_nodes_p99_low, est_nodes_p99_high.
        lines: Where something grows: label, day (the last), days (that the line goes back), est_level (on the last),
            est_slope (nodes per day). A dashed line goes on from there, to the cap or the end of the panel.
        versions: Changes of version: label, day (the first), version.
        cap: The engine's limit of nodes.
        width: In pixels.

    Only label, day and est_nodes_p99 are needed.

    Example:
        frame = lake.sql('''
            select d.family_name as label, e.day, quantile_cont(e.nodes_executed, 0.99) as est_nodes_p99
              from executions e join definitions d using (strategy_id, strategy_version)
             where e.status = 'ok'
             group by all order by label, day
        ''').df()
        charts.growth(frame)

    Raises:
        UsageError: A column is missing.
    """
    need(growth, frame, "label day est_nodes_p99")
    need(growth, lines, "label day days est_level est_slope", called="lines")
    need(growth, versions, "label day version", called="versions")
    series, fits, changes = _lines(frame), _fits(lines), _changes(versions)
    if not series:
        return empty_figure(width, "No strategy with nodes logged in this window.")
    phone = width < 0.7 * WIDE
    across = 2 if phone else min(6, max(len(series), 4))
    shown = list(series.items())[:MOST]
    left, gap = 36.0, 22.0
    room = (width - left - 8 - gap * (across - 1)) / across
    rows = -(-len(shown) // across)
    pitch = HEIGHT + 50
    figure = new_figure(width, 30 + pitch * rows + (16 if len(series) > MOST else 0))
    values = [value for _, line in shown for row in line for value in (row.nodes, row.low, row.high) if known(value)]
    top = max([cap * 1.08, *(min(value, cap * 1.5) * 1.05 for value in values)])
    window = extent(row.day for _, line in series.items() for row in line)
    ahead = _ahead(window, [fit_ for name, _ in shown for fit_ in fits.get(name, [])], cap)
    for place, (name, line) in enumerate(shown):
        x, y = left + (place % across) * (room + gap), 24 + (place // across) * pitch
        role = line[-1].role
        title_name = role if role in ROLES else "ink"
        down = float(figure.get_size_inches()[1]) * 72
        text = fit(name, room + gap / 2, bold=True)
        label(figure, x / width, 1 - (y - 10) / down, text, name=title_name, bold=True, va="baseline")
        axes = add_axes(figure, x, y, room, HEIGHT)
        axes.set_ylim(0, top)
        _draw(axes, line, cap, window, ahead)
        for fitted in fits.get(name, []):
            _line(axes, fitted, cap, ahead)
        _marks(axes, changes.get(name, []), low=_middle(line) > cap / 2)
        if place % across == 0:
            ticks(axes, "y", [0, cap], ["0", write.count(cap)])
        if place // across == (len(shown) - 1 - place % across) // across:
            seen = (window[1] - window[0] + DAY / 2) / (ahead - window[0] + DAY / 2) if window else 1.0
            _days(axes, window, room * seen)
    if len(series) > MOST:
        title(figure, left, 30 + pitch * rows + 4, f"and {len(series) - MOST} more strategies", name="mute", bold=False)
    return figure


def _lines(frame: pd.DataFrame) -> dict[str, list[_Day]]:
    out: dict[str, list[_Day]] = {}
    columns = (
        words(frame, "label", "no name"), moments(frame, "day"), floats(frame, "est_nodes_p99"),
        floats(frame, "est_nodes_p99_low"), floats(frame, "est_nodes_p99_high"), words(frame, "role"),
    )  # fmt: skip
    for name, day, value, low, high, role in zip(*columns, strict=True):
        out.setdefault(name, []).append(_Day(day, value, low, high, role))
    return {name: sorted(line, key=lambda row: (not known(row.day), row.day)) for name, line in out.items()}


def _fits(lines: pd.DataFrame | None) -> dict[str, list[_Fit]]:
    out: dict[str, list[_Fit]] = {}
    if lines is not None:
        columns = (moments(lines, "day"), *(floats(lines, name) for name in ("days", "est_level", "est_slope")))
        for name, *values in zip(words(lines, "label", "no name"), *columns, strict=True):
            if known(*values):
                out.setdefault(name, []).append(_Fit(*values))
    return out


def _changes(versions: pd.DataFrame | None) -> dict[str, list[tuple[float, str]]]:
    out: dict[str, list[tuple[float, str]]] = {}
    if versions is not None:
        columns = (words(versions, "label", "no name"), moments(versions, "day"), floats(versions, "version"))
        for name, day, version in zip(*columns, strict=True):
            if known(day, version):
                out.setdefault(name, []).append((day, f"v{version:.0f}"))
    return out


def _ahead(window: tuple[float, float] | None, fits: list[_Fit], cap: int) -> float:
    """Where all panels end: at the last day, or later for a line on its way to the cap, by half of the window at most."""
    if window is None:
        return DAY
    meets = [fitted.meets(cap) for fitted in fits if fitted.slope > 0]
    return min(max([window[1], *meets]), window[1] + max(window[1] - window[0], 2 * DAY) / 2)


def _line(axes: Axes, fitted: _Fit, cap: int, ahead: float) -> None:
    day, days, level, slope = fitted
    axes.plot([day - days * DAY, day], [level - slope * days, level], color=colour("ink"), lw=0.9, zorder=4)
    end = min(fitted.meets(cap), ahead) if slope > 0 else day
    if end > day:
        over = level + slope * (end - day) / DAY
        axes.plot([day, end], [level, over], color=colour("ink"), lw=0.9, dashes=(3, 2), zorder=4)


def _marks(axes: Axes, changes: list[tuple[float, str]], *, low: bool) -> None:
    for day, text in changes:
        axes.axvline(day, color=colour("mute"), lw=0.7, alpha=0.6, zorder=1)
        annotate(axes, (day, 0), text, offset=(2, 4 if low else 34), size=SMALL, ha="left", name="mute")


def _middle(line: list[_Day]) -> float:
    values = sorted(row.nodes for row in line if known(row.nodes))
    return values[len(values) // 2] if values else 0.0


def _draw(axes: Axes, line: list[_Day], cap: int, window: tuple[float, float] | None, ahead: float) -> None:
    first = window[0] if window else 0.0
    axes.set_xlim(first - DAY / 4, ahead + DAY / 4)
    axes.axhline(cap, color=colour("finding"), lw=0.9, zorder=1)
    baseline(axes)
    role = line[-1].role
    shade = role_colour(role, "mute")
    stretches: list[list[_Day]] = []
    for row in line:
        if not known(row.day, row.nodes):
            continue
        # A day without rows is a gap, not a line drawn across what nobody saw.
        if not stretches or row.day - stretches[-1][-1].day > 1.5 * DAY:
            stretches.append([])
        stretches[-1].append(row)
    for stretch in stretches:
        days = [row.day for row in stretch]
        band = [row for row in stretch if known(row.low, row.high)]
        if len(band) > 1:
            axes.fill_between(
                [row.day for row in band], [row.low for row in band], [row.high for row in band], color=shade, alpha=0.18,
                linewidth=0, zorder=2,
            )  # fmt: skip
        if len(stretch) > 1:
            axes.plot(days, [row.nodes for row in stretch], color=shade, lw=1.6, zorder=3)
        else:
            axes.plot(days, [stretch[0].nodes], "o", ms=3, color=shade, mew=0, zorder=3)
            if band:
                axes.plot(days * 2, [band[0].low, band[0].high], color=shade, lw=1, alpha=0.6, zorder=2)
    if not stretches:
        label(axes, 0.5, 0.4, "no run logged", size=SMALL, ha="center", transform=axes.transAxes)
        return
    day, value, low, high, _ = stretches[-1][-1]
    # Above the line, and below it where the cap would run through the number.
    under = value > 0.62 * cap
    annotate(
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
