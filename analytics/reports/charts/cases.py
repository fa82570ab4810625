"""Who gets what: the share of runs per case, two versions beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.reports.charts.columns import column, floats, is_missing, known, need, words
from analytics.reports.charts.theme import (  # fmt: skip
    SMALL,
    WIDE,
    board,
    colour,
    fit,
    nothing,
    panel,
    role_colour,
    ticks,
    tied,
    title,
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
        return nothing(width, "No case to compare.")
    phone = width < 0.7 * WIDE
    row = ROW + 16 if phone else ROW
    left, right = (4.0, 84.0) if phone else (232.0, 136.0)
    room = width - left - right
    top = 40.0
    figure = board(width, top + row * len(shown) + 46)
    title(figure, 0, 9, "Share of runs per case" + ("" if phone else ", with 95 % interval"))
    axes = panel(figure, left, top, room, row * len(shown))
    lows, highs, points = floats(frame, "share_low"), floats(frame, "share_high"), floats(frame, "points_mean")
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
            tied(axes, (0, at - 0.5), fit(name, room), offset=(0, -11), name=muted)
        else:
            tied(axes, (0, at), fit(name, left - 16), offset=(-left, 0), name=muted)
        _paid(axes, at + lift, [points[index] for index in own])
    _key(axes, list(zip(labels, roles, strict=True)))
    places = [place for place in (0.0, 0.25, 0.5, 0.75, 1.0) if place <= axes.get_xlim()[1]]
    if len(places) < 3:
        places = [place / 20 for place in range(21) if place / 20 <= axes.get_xlim()[1]] or [0.0]
        places = places[:: max(len(places) // 4, 1)]
    ticks(axes, "x", places, [write.percent(place) if place else "0" for place in places], length=3)
    if len(order) > MOST:
        tied(axes, (0, 0), f"and {len(order) - MOST} rarer cases", coords="axes fraction", offset=(0, -30), size=SMALL)
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
    tied(
        axes, (1, y), text, coords=("axes fraction", "data"), offset=(10, 0), bold=changed,
        name="finding" if changed else "mute", size=SMALL,
    )  # fmt: skip


def _key(axes: Axes, named: list[tuple[str, str]]) -> None:
    seen = dict(sorted(set(named), key=lambda pair: pair[1] == "finding"))
    place = 0.0
    for name, role in seen.items():
        text = f"{'◆' if role == 'finding' else '●'} {fit(name, 120)}"
        shade = role if role in ("before", "finding") else "mute"
        tied(axes, (0, 1), text, coords="axes fraction", offset=(place, 11), name=shade, bold=True)
        place += 0.62 * 12 * len(text) + 14
