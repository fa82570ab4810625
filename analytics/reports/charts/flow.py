"""From which case to which: runs as bands between the case they were paid in and the one that another program pays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from analytics.reports.charts.columns import floats, known, need, words
from analytics.reports.charts.theme import (
    SMALL,
    WIDE,
    add_axes,
    annotate,
    avoid_overlap,
    colour,
    empty_figure,
    fit,
    new_figure,
    role_colour,
    title,
)
from analytics.reports.page import number as write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12
"""Cases of a side; more have no room to be read."""
REST = "other cases"
_TOP, _HIGH, _GAP, _BAR, _LINE = 26.0, 190.0, 8.0, 7.0, 16.0


@dataclass(slots=True)
class _Band:
    """Runs of one pair of cases: share, where it leaves and where it arrives, in pixels from the top."""

    was: str
    now: str
    share: float
    role: str
    start: float = 0.0
    end: float = 0.0


def flow(frame: pd.DataFrame, *, width: int = WIDE, before: str = "was paid in", after: str = "then") -> Figure:
    """Draws a band per pair of cases, as high as its share of the runs; those with a role lie above the others.

    Args:
        frame: was, now (names of cases), share (of all runs), role (finding or worse; grey without).
        width: In pixels.
        before, after: What stands above the two sides.

    Only was, now and share are needed. Beyond twelve names of a side the rarest are one.

    Example:
        frame = lake.sql('''
            with shares as (
              select strategy_version, coalesce(case_name, 'no case') as name, sum(sample_weight) as est_runs
                from executions e
               where e.status = 'ok' and family_name = 'Speed bonus' and strategy_version in (2, 3) group by all)
            select two.name as was, three.name as now, two.est_runs / sum(two.est_runs) over () as share
              from shares two join shares three using (name)
             where two.strategy_version = 2 and three.strategy_version = 3
        ''').df()
        charts.flow(frame)

    Raises:
        UsageError: A column is missing.
    """
    need(flow, frame, "was now share")
    bands = _bands(frame)
    if not bands:
        return empty_figure(width, "No run to follow.")
    phone = width < 0.7 * WIDE
    room = 112.0 if phone else 250.0
    sides = [_stacked(bands, side) for side in ("was", "now")]
    high = max(_HIGH, *(_LINE * 1.6 * len(side) for side in sides))
    figure = new_figure(width, _TOP + high + 8)
    title(figure, 0, 9, before)
    axes = add_axes(figure, 0, _TOP, width, high)
    axes.set_xlim(0, width)
    axes.set_ylim(high, 0)
    left, right = room, width - room
    scale = min((high - _GAP * (len(side) - 1)) / (sum(side.values()) or 1.0) for side in sides)
    tops = [_tops(side, scale) for side in sides]
    _place(bands, sides, tops, scale)
    for band in sorted(bands, key=lambda one: (bool(one.role), one.role == "worse")):
        _draw(axes, band, (left + _BAR, right - _BAR), band.share * scale)
    for side, top, at, is_left in zip(sides, tops, (left, right - _BAR), (True, False), strict=True):
        _names(axes, side, top, scale, at, 0.0 if phone else room - 8, is_left=is_left)
    annotate(axes, (width, 0), after, offset=(0, _TOP - 9), name="ink", bold=True, ha="right")
    return figure


def _bands(frame: pd.DataFrame) -> list[_Band]:
    """What can be drawn, rare names of a side taken together."""
    columns = (
        words(frame, "was", "no case"),
        words(frame, "now", "no case"),
        floats(frame, "share"),
        words(frame, "role"),
    )
    given = [_Band(*row) for row in zip(*columns, strict=True) if known(row[2]) and row[2] > 0]
    largest = max((band.share for band in given), default=1.0)
    kept = [_frequent(given, side) for side in ("was", "now")]
    merged: dict[tuple[str, str, str], _Band] = {}
    for band in given:
        was, now = (name if name in names else REST for name, names in zip((band.was, band.now), kept, strict=True))
        found = merged.setdefault((was, now, band.role), _Band(was, now, 0.0, band.role))
        found.share += band.share / largest  # whatever the unit: only proportions are drawn
    return list(merged.values())


def _frequent(bands: Sequence[_Band], side: str) -> set[str]:
    names = _totals(bands, side)
    ordered = sorted(names, key=lambda name: (-names[name], name))
    return set(ordered if len(ordered) <= MOST else ordered[: MOST - 1])


def _totals(bands: Sequence[_Band], side: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for band in bands:
        found[getattr(band, side)] = found.get(getattr(band, side), 0.0) + band.share
    return found


def _stacked(bands: Sequence[_Band], side: str) -> dict[str, float]:
    """The cases of a side from top to bottom; those of both sides stand in one order, so that bands cross little."""
    both, own = _totals(bands, "was"), _totals(bands, side)
    return dict(sorted(own.items(), key=lambda one: (one[0] == REST, -both.get(one[0], 0.0), -one[1], one[0])))


def _tops(side: dict[str, float], scale: float) -> dict[str, float]:
    found, at = {}, 0.0
    for name, share in side.items():
        found[name] = at
        at += share * scale + _GAP
    return found


def _place(
    bands: list[_Band], sides: Sequence[dict[str, float]], tops: Sequence[dict[str, float]], scale: float
) -> None:
    """Where each band leaves and arrives: in the order of the other side, within its case."""
    ranks = [list(side) for side in sides]
    left, right = (dict(top) for top in tops)
    for band in sorted(bands, key=lambda one: (ranks[1].index(one.now), one.role)):
        band.start, left[band.was] = left[band.was], left[band.was] + band.share * scale
    for band in sorted(bands, key=lambda one: (ranks[0].index(one.was), one.role)):
        band.end, right[band.now] = right[band.now], right[band.now] + band.share * scale


def _draw(axes: Axes, band: _Band, ends: tuple[float, float], high: float) -> None:
    """A band with a soft turn; as thin as a line where it is next to nothing."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (left, right), high = ends, max(high, 0.8)
    middle = (left + right) / 2
    way = [
        (left, band.start), (middle, band.start), (middle, band.end), (right, band.end), (right, band.end + high),
        (middle, band.end + high), (middle, band.start + high), (left, band.start + high), (left, band.start),
    ]  # fmt: skip
    curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    fill = f"{band.role}-pale" if band.role == "finding" else "rule"
    edge = role_colour(band.role) if band.role else colour("rule")
    axes.add_patch(
        PathPatch(
            Path(way, curve), facecolor=colour(fill), edgecolor=edge, lw=1.0 if band.role else 0.4, zorder=2 + bool(band.role),
            clip_on=False,
        )
    )  # fmt: skip


def _names(
    axes: Axes, side: dict[str, float], tops: dict[str, float], scale: float, at: float, room: float, *, is_left: bool
) -> None:
    """The cases of a side: a bar each, its name outside and its share of the runs; on a phone that stands inside, where it fits."""
    from matplotlib.patches import Rectangle

    low, high = axes.get_ylim()[1], axes.get_ylim()[0]
    whole = sum(side.values()) or 1.0
    middles = avoid_overlap([tops[name] + share * scale / 2 for name, share in side.items()], _LINE, low + 6, high - 6)
    outer, inner, away = (at, at + _BAR, -7.0) if is_left else (at + _BAR, at, 7.0)
    for (name, share), middle in zip(side.items(), middles, strict=True):
        bar = Rectangle(
            (at, tops[name]), _BAR, max(share * scale, 0.8), facecolor=colour("d4"), edgecolor="none", zorder=5
        )
        axes.add_patch(bar)
        percent = write.percent(float(f"{share / whole:.2g}"))
        text = f"{fit(name, room - 52, SMALL)} {percent}" if room else fit(name, 104, SMALL)
        muted = "mute" if name in ("no case", REST) else "ink"
        sides: tuple[Literal["left", "right"], Literal["left", "right"]] = (
            ("right", "left") if is_left else ("left", "right")
        )
        annotate(axes, (outer, middle), text, offset=(away, 0), name=muted, size=SMALL, ha=sides[0])
        if not room and share * scale > _LINE:
            annotate(axes, (inner, middle), percent, offset=(-away, 0), name="ink", size=SMALL, ha=sides[1], zorder=6)
