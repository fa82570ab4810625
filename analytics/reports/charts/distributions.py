"""Where runs are: density of nodes and milliseconds, and how many exceed a value; stopped runs beyond the limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analytics.reports.charts.columns import floats, known, need, numbers, words
from analytics.reports.charts.theme import (
    BEYOND,
    HALO,
    SMALL,
    WIDE,
    add_axes,
    annotate,
    colour,
    empty_figure,
    fit,
    label,
    new_figure,
    nodes_axis,
    places,
    role_colour,
    ticks,
    title,
)
from analytics.reports.page import number as write
from analytics.reports.page.inline import ROLES

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
        return empty_figure(width, "No run with nodes logged in this window.")
    left, room, phone = places(width)
    height = 240.0
    top = 40.0 if phone else 34.0
    figure = new_figure(width, top + height + 44 + (18 * len(stopped) if phone else 0))
    title(figure, 0, 8, "Share of runs that need more than x nodes")
    axes = add_axes(figure, left, top, room, height)
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
        annotate(
            axes, (at, 1), fit(name, across * 0.4), offset=(0, -13 - 16 * rank), name=role, ha="right",
            gid=HALO, zorder=6,
        )  # fmt: skip
    if grey:
        if len(grey) > 2:
            text = "each grey line\nis a strategy" + (f"; {left_out:,} shorter ones are not drawn" if left_out else "")
            annotate(axes, (0, 0), text, coords="axes fraction", offset=(6, 18), size=SMALL, gid=HALO)
        last = max(grey, key=lambda name: reach[name])
        x, y = next(((nodes, share) for nodes, share in lines[last][1] if share <= 0.15), lines[last][1][-1])
        # Named only where no highlighted curve stands in the way.
        room = (math.log(min([axes.get_xlim()[1] / BEYOND, *knees])) - math.log(x)) / math.log(axes.get_xlim()[1] / low)
        if room * across > 60:
            annotate(axes, (x, y), fit(last, room * across - 12, SMALL), offset=(7, 0), size=SMALL, gid=HALO)


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
            annotate(
                axes, (0, 0), f"○ {fit(name, 170, SMALL)}: {runs}", coords="axes fraction",
                offset=(-36, -54 - 18 * rank), name=shade, size=SMALL,
            )  # fmt: skip
        else:
            annotate(axes, (end, y), f"{fit(name, 152)}\n{runs}", offset=(8, 0), name=shade, size=SMALL)


CELL = 11.0
SHARES = (0.0, 0.02, 0.08, 0.25, 0.55)
"""Where the five steps begin, as shares of the fullest cell."""


MOST_MARKS = 250
"""Stopped runs that are drawn one by one."""


def density(
    runs: pd.DataFrame,
    stopped: pd.DataFrame | None = None,
    *,
    cap: int = 1000,
    limit_ms: float = 500,
    width: int = WIDE,
) -> Figure:
    """Draws how many runs have so many nodes and take so long, both logarithmic.

    Args:
        runs: nodes_executed, duration_ms, sample_weight, logged_count (both 1 when missing) of ok runs.
        stopped: duration_ms, status, logged_count (1 when missing). `limit`: the time is real, the nodes are at least the cap.
            `timeout`: the nodes are unknown, so these are only spread out along the time limit. Other failures have no place
            here.
        cap: The engine's limit of nodes.
        limit_ms: The engine's limit of time.
        width: In pixels.

    Example:
        costs = lake.run("run_costs", digits=3)
        charts.density(costs[costs.status == "ok"], costs[costs.status != "ok"])

    Raises:
        UsageError: A column is missing.
    """
    import numpy as np
    import pandas as pd

    need(density, runs, "nodes_executed duration_ms", called="runs")
    need(density, stopped, "duration_ms status", called="stopped")
    stopped = pd.DataFrame() if stopped is None else stopped
    nodes, took, weight = (numbers(runs, name) for name in ("nodes_executed", "duration_ms", "sample_weight"))
    weight = np.where(weight > 0, weight, 1.0) * numbers(runs, "logged_count", 1.0)
    usable = (nodes >= 1) & (took >= 0)
    nodes, took, weight = nodes[usable], np.maximum(took[usable], 0.05), weight[usable]
    halted = list(zip(floats(stopped, "duration_ms"), words(stopped, "status"), _counts(stopped), strict=True))
    limits, timeouts = (
        [(took, count) for took, status, count in halted if status == kind] for kind in ("limit", "timeout")
    )
    if not len(nodes) and not limits and not timeouts:
        return empty_figure(width, "No run with nodes and time in this window.")
    left, room, phone = places(width)
    height = 270.0
    figure = new_figure(width, 46 + height + 42 + (18 if phone else 0))
    title(figure, 0, 8, "Where runs are: nodes across, ms up" + ("" if phone else "; stronger colour is more"))
    axes = add_axes(figure, left, 46, room, height)
    low = nodes_axis(axes, cap, [float(nodes.min())] if len(nodes) else [], phone, name="")
    times = [float(end) for end in (took.min(), took.max())] if len(took) else []
    times += [spot for spot, _ in limits if known(spot) and spot > 0]
    bottom = min(0.5, limit_ms / 100) if min(times, default=1.0) < 0.8 else 0.7
    ceiling = max(limit_ms * 2, min(max(times, default=0.0), limit_ms * 20) * 1.2)
    axes.set_yscale("log")
    axes.set_ylim(bottom, ceiling)
    marks = [10.0**power for power in range(-1, 6) if bottom <= 10.0**power < limit_ms * 0.7]
    ticks(axes, "y", marks, [write.ms(marks[0]), *(write.number(mark) for mark in marks[1:])] if marks else [])
    axes.axhspan(limit_ms, ceiling, facecolor=colour("finding-pale"), edgecolor="none", zorder=0)
    axes.axhline(limit_ms, color=colour("finding"), lw=1.5, zorder=5)
    if len(nodes):
        _cells(axes, (nodes, took, weight), (low, float(cap)), (bottom, ceiling), (room, height))
    _halted(axes, limits, timeouts, cap, limit_ms, (low, bottom, ceiling), phone)
    label(axes, 0.5, -34 / height, "nodes per run", size=SMALL, ha="center", transform=axes.transAxes)
    return figure


def _cells(
    axes: Axes, rows: tuple[Any, Any, Any], across: tuple[float, float], up: tuple[float, float],
    size: tuple[float, float],
) -> None:  # fmt: skip
    """One path per step of darkness, not one shape per cell: small files, and no seams between cells."""
    import numpy as np
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    ends = np.log10([across[0], across[1] * BEYOND])
    columns = max(int(size[0] / CELL), 4)
    # Cells end at the cap, so that no cell straddles it.
    x = 10 ** np.linspace(ends[0], np.log10(across[1]), max(int(columns * (1 - np.log10(BEYOND) / np.ptp(ends))), 3))
    y = 10 ** np.linspace(np.log10(up[0]), np.log10(up[1]), max(int(size[1] / 8), 4))
    # ok runs at or above the cap cannot be; should the cap have been lower than the log says, they stand at its edge.
    nodes, took, weight = rows
    nodes, took = (np.clip(part, ends[0], ends[-1] * 0.999999) for part, ends in ((nodes, x), (took, y)))
    amounts, _, _ = np.histogram2d(nodes, took, bins=(x, y), weights=weight)
    steps = [share * amounts.max() for share in SHARES]
    for level in range(len(SHARES)):
        upper = steps[level + 1] if level + 1 < len(steps) else float("inf")
        inside = (amounts > steps[level]) & (amounts <= upper)
        boxes = [_box(x[i], x[i + 1], y[j], y[j + 1]) for i, j in zip(*np.nonzero(inside), strict=True)]
        if boxes:
            path = Path.make_compound_path(*boxes)
            axes.add_patch(PathPatch(path, facecolor=colour(f"d{level + 1}"), edgecolor="none", linewidth=0, zorder=2))


def _counts(frame: pd.DataFrame) -> list[int]:
    return [int(count) if known(count) else 1 for count in numbers(frame, "logged_count", 1.0)]


def _marks(found: list[tuple[float, int]]) -> list[float]:
    """A time for each run; of very many, an even part of them in the order of time."""
    everything = sum(count for _, count in found)
    if everything <= MOST_MARKS:
        return [took for took, count in found for _ in range(count)]
    marks: list[float] = []
    before = 0
    for took, count in sorted(found):
        before += count
        marks += [took] * (before * MOST_MARKS // everything - len(marks))
    return marks


def _box(left: float, right: float, bottom: float, top: float) -> Any:
    from matplotlib.path import Path

    corners = [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
    return Path(corners, [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY])


def _halted(
    axes: Axes, limits: list[tuple[float, int]], timeouts: list[tuple[float, int]], cap: int, limit_ms: float,
    edges: tuple[float, float, float], phone: bool,
) -> None:  # fmt: skip
    low, bottom, ceiling = edges
    side: dict[str, Any] = {"coords": ("axes fraction", "data"), "name": "finding", "size": SMALL}
    if not phone:
        annotate(axes, (1, limit_ms), f"limit {write.ms(limit_ms)}", offset=(8, 0), **side)
    else:
        annotate(
            axes, (low, limit_ms), f"limit {write.ms(limit_ms)}", offset=(4, -8), name="finding", size=SMALL, zorder=6
        )
    spots = _marks([(took, count) for took, count in limits if known(took) and took > 0])
    stopped, late = (sum(count for _, count in found) for found in (limits, timeouts))
    if limits:
        # Across, the place says only "beyond the cap": a fixed spread keeps marks apart.
        at = [cap * BEYOND ** (0.18 + 0.64 * ((rank * 0.618) % 1)) for rank in range(len(spots))]
        spots = [min(max(took, bottom), ceiling) for took in spots]
        axes.plot(at, spots, "o", ms=4, mfc="none", mec=colour("finding"), mew=0.9, ls="none", zorder=6)
        runs = f"{write.count(stopped)} stopped {'run' if stopped == 1 else 'runs'}:"
        if phone:
            annotate(
                axes, (0, 0), f"○ {runs} time is real, nodes are beyond the cap in force", coords="axes fraction",
                offset=(-36, -54), name="finding", size=SMALL,
            )  # fmt: skip
        else:
            middle = sorted(spots)[len(spots) // 2] if spots else 10.0
            text = f"{runs}\ntime is real,\nnodes are beyond\nthe cap in force"
            annotate(axes, (1, min(middle, limit_ms / 3)), text, offset=(8, 0), **side)
    if timeouts:
        inner = cap / low
        marks = _marks(timeouts)
        at = [low * inner ** (0.06 + 0.88 * ((rank * 0.618 + 0.3) % 1)) for rank in range(len(marks))]
        where = [min(max(took, limit_ms * 1.15), ceiling * 0.9) if known(took) else limit_ms * 1.4 for took in marks]
        axes.plot(at, where, "D", ms=4, mfc="none", mec=colour("ink"), mew=0.9, ls="none", zorder=6)
        note = f"◇ {write.count(late)} {'timeout' if late == 1 else 'timeouts'}, "
        unknown = f"≥\u00a0{write.ms(limit_ms)}; their nodes are unknown, so they are only spread out"
        note += "nodes unknown" if phone else unknown
        annotate(axes, (0, 1), note, coords="axes fraction", offset=(0, 9), name="ink", size=SMALL)
