"""How close do runs come to the cap: the share of runs that need more than x nodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analytics.reports.charts.columns import floats, known, need, words
from analytics.reports.charts.theme import (  # fmt: skip
    HALO,
    SMALL,
    WIDE,
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
)
from analytics.reports.charts.time_axis import BEYOND, nodes_axis, places
from analytics.reports.page import number as write
from analytics.reports.page.palette import ROLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 4
MOST = 100
_LEFT = 1e-9


def exceedance(
    curves: pd.DataFrame, capped: pd.DataFrame | None = None, *, cap: int = 1000, width: int = WIDE
) -> Figure:
    """Draws one falling curve per strategy: an ECDF seen from above, so that the tail shows.

    Args:
        curves: label, role, nodes, share: the share of runs needing more than so many nodes.
        capped: label, count: runs stopped at the cap. They logged 0 nodes and are drawn beyond it.
        cap: The engine's limit of nodes.
        width: In pixels.

    Of the role (a colour) there need be none.

    Example:
        curves = lake.sql('''
            with runs as (select d.family_name as label, e.nodes_executed as nodes, sum(e.sample_weight) as est_runs
                            from executions e join definitions d using (strategy_id, strategy_version)
                           where e.status = 'ok' group by all)
            select label, nodes, 1 - sum(est_runs) over (partition by label order by nodes)
                                   / sum(est_runs) over (partition by label) as share from runs
        ''').df()
        capped = lake.sql("select family_name as label, sum(limit_count) as count from strategy_days "
                          "group by all having sum(limit_count) > 0").df()
        charts.exceedance(curves, capped)

    Raises:
        UsageError: A column is missing.
    """
    import pandas as pd

    need(exceedance, curves, "label nodes share", called="curves")
    need(exceedance, capped, "label count", called="capped")
    capped = pd.DataFrame() if capped is None else capped
    every = _lines(curves)
    lines = _drawn(every)
    stopped = [pair for pair in zip(words(capped, "label"), floats(capped, "count"), strict=True) if known(pair[1])]
    if not lines and not stopped:
        return nothing(width, "No run with nodes logged in this window.")
    left, room, phone = places(width)
    height = 240.0
    top = 40.0 if phone else 34.0
    figure = board(width, top + height + 44 + (18 * len(stopped) if phone else 0))
    title(figure, 0, 8, "Share of runs that need more than x nodes")
    axes = panel(figure, left, top, room, height)
    nodes_axis(axes, cap, (nodes for _, points in lines.values() for nodes, _ in points), phone)
    least = min((share for _, points in lines.values() for _, share in points if share > 0), default=0.01)
    bottom = max(min(least * 0.7, 0.05), 1e-5)
    # Nothing is beyond the largest run: there the curve falls to the foot of the picture, which has no zero.
    lines = {name: (role, [(x, max(y, bottom)) for x, y in points]) for name, (role, points) in lines.items()}
    axes.set_yscale("log")
    axes.set_ylim(bottom, 1.12)
    powers = [10.0**power for power in range(-5, 1) if 10.0**power >= bottom]
    ticks(axes, "y", powers, [write.percent(power) for power in powers])
    grey = [name for name, (role, _) in lines.items() if role not in ROLES]
    for role, points in lines.values():
        xs, ys = zip(*points, strict=True)
        start = axes.get_xlim()[0]
        marked = role in ROLES
        # Every run needs more than nothing: the curve starts at 100 %.
        axes.step(
            [min(start, xs[0]), *xs], [1.0, *ys], where="post", color=role_colour(role),
            lw=1.8 if marked else 0.9, zorder=4 if marked else 2,
        )  # fmt: skip
    _names(axes, lines, grey, room, len(every) - len(lines))
    _stopped(axes, lines, stopped, cap, bottom, phone)
    x_name = "nodes per run"
    label(axes, 0.5, -34 / height, x_name, size=SMALL, ha="center", transform=axes.transAxes)
    return figure


def _lines(curves: pd.DataFrame) -> dict[str, tuple[str, list[tuple[float, float]]]]:
    out: dict[str, tuple[str, list[tuple[float, float]]]] = {}
    columns = (
        words(curves, "label", "no name"),
        words(curves, "role"),
        floats(curves, "nodes"),
        floats(curves, "share"),
    )
    for name, role, nodes, share in sorted(zip(*columns, strict=True), key=lambda row: (row[0], row[2])):
        if known(nodes, share) and nodes > 0:
            # What is left of a sum of shares is no share of runs.
            out.setdefault(name, (role, []))[1].append((nodes, min(share, 1.0) if share > _LEFT else 0.0))
    return out


def _drawn(lines: dict[str, tuple[str, list[tuple[float, float]]]]) -> dict[str, tuple[str, list[tuple[float, float]]]]:
    """The highlighted curves, then those that reach furthest: more than a hundred are one grey area of a megabyte."""
    order = sorted(lines, key=lambda name: (lines[name][0] not in ROLES, -lines[name][1][-1][0]))
    kept = set(order[:MOST])
    return {name: line for name, line in lines.items() if name in kept}


def _names(
    axes: Axes, lines: dict[str, tuple[str, list[tuple[float, float]]]], grey: list[str], across: float, left_out: int
) -> None:
    """Names stand left of the highlighted curves; of the grey ones only the outermost is named."""
    reach = {name: max(nodes for nodes, _ in points) for name, (_, points) in lines.items()}
    marked = sorted((name for name in lines if name not in grey), key=lambda name: -reach[name])[:NAMED]
    low = axes.get_xlim()[0]
    # The first highlighted curve to fall leaves room for all names left of where it leaves 100 %.
    knees = [next((nodes for nodes, share in lines[name][1] if share < 0.9), reach[name]) for name in marked]
    at = max(min(knees, default=low) * 0.93, low * 3)
    for rank, name in enumerate(marked):
        role = lines[name][0]
        tied(
            axes, (at, 1), fit(name, across * 0.4), offset=(0, -13 - 16 * rank), name=role, ha="right",
            gid=HALO, zorder=6,
        )  # fmt: skip
    if grey:
        if len(grey) > 2:
            text = "each grey line\nis a strategy" + (f"; {left_out:,} shorter ones are not drawn" if left_out else "")
            tied(axes, (0, 0), text, coords="axes fraction", offset=(6, 18), size=SMALL, gid=HALO)
        last = max(grey, key=lambda name: reach[name])
        x, y = next(((nodes, share) for nodes, share in lines[last][1] if share <= 0.15), lines[last][1][-1])
        # Named only where no highlighted curve stands in the way.
        room = (math.log(min([axes.get_xlim()[1] / BEYOND, *knees])) - math.log(x)) / math.log(axes.get_xlim()[1] / low)
        if room * across > 60:
            tied(axes, (x, y), fit(last, room * across - 12, SMALL), offset=(7, 0), size=SMALL, gid=HALO)


def _stopped(
    axes: Axes, lines: dict[str, tuple[str, list[tuple[float, float]]]], stopped: list[tuple[str, float]], cap: int,
    bottom: float, phone: bool,
) -> None:  # fmt: skip
    used: list[float] = []
    for rank, (name, count) in enumerate(stopped):
        role, points = lines.get(name, ("finding", [(float(cap), 0.01)]))
        shade = role if role in ROLES else "finding"
        y = max(points[-1][1], bottom * 1.6)
        while any(0.55 < y / other < 1.8 for other in used):  # two marks at one height would read as one
            y *= 1.9
        used.append(y)
        end = cap * BEYOND
        axes.plot([cap, end], [y, y], color=colour(shade), lw=1, ls=(0, (2, 2)), zorder=5, clip_on=False)
        axes.plot([cap * BEYOND**0.5], [y], "o", ms=6, mfc=colour("bg"), mec=colour(shade), mew=1.4, zorder=6)
        runs = f"{write.count(count)} stopped by the cap in force"
        if phone:
            tied(
                axes, (0, 0), f"○ {fit(name, 170, SMALL)}: {runs}", coords="axes fraction",
                offset=(-36, -54 - 18 * rank), name=shade, size=SMALL,
            )  # fmt: skip
        else:
            tied(axes, (end, y), f"{fit(name, 152)}\n{runs}", offset=(8, 0), name=shade, size=SMALL)
