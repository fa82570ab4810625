"""Since when: versions, points, traffic, failures and duration on one axis of time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from analytics.reports.charts.columns import floats, known, moments, need, words
from analytics.reports.charts.theme import (
    DAY,
    SMALL,
    WIDE,
    add_axes,
    annotate,
    avoid_overlap,
    baseline,
    bin_words,
    colour,
    empty_figure,
    extent,
    fit,
    label,
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


@dataclass(frozen=True)
class TimePanels:
    """Panels below each other, all from `since` to `until`.

    Attributes:
        figure: The board they stand on.
        since: Seconds since 1970.
        until: Seconds since 1970.
        left: Left edge of the panels, in pixels.
        room: Width of the panels, in pixels.
        phone: Whether labels go above the panels instead of right of them.
        shaded: Stretches of time that belong to the finding.
    """

    figure: Figure
    since: float
    until: float
    left: float
    room: float
    phone: bool
    shaded: tuple[tuple[float, float], ...]

    @classmethod
    def build(
        cls, width: int, height: float, since: float, until: float, shaded: tuple[tuple[float, float], ...] = ()
    ) -> TimePanels:
        """A board with room for labels at the right, or above on a phone."""
        phone = width < 0.7 * WIDE
        left = 34.0
        room = width - left - (6 if phone else 136)
        return cls(new_figure(width, height), since, until, left, room, phone, shaded)

    def axes(self, top: float, height: float, heading: str = "", *, shade: bool = True) -> Axes:
        """A panel with its heading, the time of the finding shaded."""
        if heading:
            title(self.figure, 0, top - 15, heading)
        axes = add_axes(self.figure, self.left, top, self.room, height)
        axes.set_xlim(self.since, self.until)
        for first, last in self.shaded if shade else ():
            axes.axvspan(first, last, facecolor=colour("finding-pale"), edgecolor="none", zorder=0)
            for edge in (first, last):
                if self.since < edge < self.until:
                    axes.axvline(edge, color=colour("finding"), lw=0.8, zorder=1)
        return axes

    def beside(self, axes: Axes, labels: list[tuple[float, str, str]]) -> None:
        """Labels (y, text, colour) right of the panel, level with what they name; on a phone above the panel."""
        if not self.phone:
            # Places as fractions of the panel, so that labels can be kept apart in pixels.
            down = float(self.figure.get_size_inches()[1]) * 72 * axes.get_position().height
            fractions = [
                float(axes.transAxes.inverted().transform(axes.transData.transform((self.since, y)))[1]) * down
                for y, _, _ in labels
            ]
            lines = max((text.count("\n") + 1 for _, text, _ in labels), default=1)
            for place, (_, text, name) in zip(avoid_overlap(fractions, 15 * lines, 6, down - 4), labels, strict=True):
                annotate(axes, (1, place / down), text, coords="axes fraction", offset=(10, 0), name=name)
            return
        # From right to left in one line; there is room for two.
        before = 0.0
        for _, text, name in labels[-2:][::-1]:
            line = " ".join(text.split("\n"))
            annotate(
                axes, (1, 1), line, coords="axes fraction", offset=(-before, 9), name=name, size=SMALL, ha="right",
                va="center",
            )  # fmt: skip
            before += 0.56 * SMALL * len(line) + 10


def from_zero(axes: Axes, values: list[float], bounds: list[float], count: int = 3) -> None:
    """A scale from zero with round steps; a single wild interval may leave the panel, the means may not."""
    from matplotlib.ticker import MaxNLocator

    centre = [value for value in values if known(value)]
    top, bottom = max([*centre, 0.0]), min([*centre, 0.0])
    reach = (top - bottom) or 1.0
    edges = [value for value in bounds if known(value)]
    top = min(max([top * 1.05, *edges]), top + 0.6 * reach) or 1.0
    bottom = max(min([bottom * 1.05, *edges, 0.0]), bottom - 0.6 * reach) if bottom < 0 else 0.0
    axes.set_ylim(bottom, top)
    places = [place for place in MaxNLocator(count).tick_values(bottom, top) if bottom <= place <= top]
    ticks(axes, "y", places, [_brief(place) for place in places])
    baseline(axes)
    if bottom < 0:
        axes.axhline(0, color=colour("rule"), lw=1, zorder=1)


def _brief(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if 1e15 > abs(value) >= size:
            return write.number(value / (1e3 if letter == "k" else size)) + letter
    return write.exact(value)


def empty(axes: Axes, text: str) -> None:
    """A panel without data says why."""
    label(axes, 0.0, 0.5, text, size=SMALL, transform=axes.transAxes)


MARKS = ("o", "D", "s", "^", "v")
LANES = 4
LANE, LANE_PHONE = 18, 32


def common_codes(codes: list[str]) -> list[str]:
    """The codes that get a lane of their own, the commonest first; the others share one."""
    common = [code for code, _ in Counter(codes).most_common()]
    return common if len(common) <= LANES + 1 else [*common[:LANES], "other codes"]


def failure_lanes(stage: TimePanels, top: float, failures: pd.DataFrame, lanes: list[str]) -> Axes:
    """The panel."""
    height = max((LANE_PHONE if stage.phone else LANE) * len(lanes), LANE)
    axes = stage.axes(
        top, height, "Failures, each one" if stage.phone else "Failures, each one (logged, not estimated)"
    )
    axes.set_ylim(max(len(lanes), 1) - 0.5, -0.5)
    baseline(axes)
    codes, times = words(failures, "error_code", "no code"), moments(failures, "created_at")
    for lane, code in enumerate(lanes):
        own = [
            moment
            for moment, found in zip(times, codes, strict=True)
            if known(moment) and (found == code or (code == "other codes" and found not in lanes))
        ]
        seen = _apart(own, stage)
        axes.plot(
            seen, [lane + (0.22 if stage.phone else 0)] * len(seen), MARKS[lane], ms=5, mfc="none", mec=colour("ink"),
            mew=1, ls="none", zorder=3, clip_on=False,
        )  # fmt: skip
        # The engine's prefix and capitals cost room; the table of failures has the code as it is.
        name = code.removeprefix("DSL_").replace("_", " ").lower() if code.startswith("DSL_") else code
        text = f"{name} {len(own)}"
        if not stage.phone:
            text = text if pixels(text, SMALL) <= 126 else fit(name, 126, SMALL)
            annotate(axes, (stage.until, lane), text, offset=(10, 0), size=SMALL)
        else:
            annotate(axes, (stage.since, lane), fit(text, 200, SMALL), offset=(0, 8), size=SMALL)
    if not lanes:
        empty(axes, "none logged")
    return axes


def _apart(times: list[float], stage: TimePanels) -> list[float]:
    """One of those that would lie on the same half pixel: more are not seen, and tens of thousands make a page that is slow."""
    width = (stage.until - stage.since) / (2 * stage.room)
    return list({round((time - stage.since) / width): time for time in times}.values()) if width > 0 else times


CLOCK = 66.0
FEWEST = 5
"""Bins with fewer logged rows show where they lie, not a mean to believe."""


def timeline(
    versions: pd.DataFrame | None = None,
    points: pd.DataFrame | None = None,
    runs: pd.DataFrame | None = None,
    failures: pd.DataFrame | None = None,
    durations: pd.DataFrame | None = None,
    *,
    overpaid: pd.DataFrame | None = None,
    alert_ms: float = 250.0,
    width: int = WIDE,
) -> Figure:
    """Draws panels with one axis of time, in UTC. A frame may be empty; what is left out has no panel, and nothing is said of it.

    Args:
        versions: Ribbon: label, since, until, role; with `est_points_mean` also a line at the version's mean.
        points: Per bin and version: since, until, label, role, est_points_mean, _low, _high, logged_count.
        runs: Per bin: since, est_runs, est_runs_low, est_runs_high.
        failures: One row per failed run: created_at, error_code.
        durations: Per day: since, until, est_duration_p99_ms, _low, _high, grade.
        overpaid: A running total: until, est_overpaid, est_overpaid_low, est_overpaid_high; no panel without it.
        alert_ms: Where the p99 would raise an alert.
        width: In pixels.

    What has ``_low`` and ``_high`` is drawn with its interval; of the role (a colour) there need be none.

    Example:
        points = lake.sql('''
            select time_bucket(interval 6 hours, e.created_at) as since, since + interval 6 hours as until,
                   'v' || strategy_version as label, count(*) as logged_count, avg(e.points) as est_points_mean
              from executions e join definitions d using (strategy_id, strategy_version)
             where d.family_name = 'Speed bonus' and e.status = 'ok' group by all
        ''').df()
        charts.timeline(points=points)

    Raises:
        UsageError: A column is missing.
    """
    import pandas as pd

    need(timeline, versions, "label since until", called="versions")
    need(timeline, points, "since until label est_points_mean logged_count", called="points")
    need(timeline, runs, "since est_runs", called="runs")
    need(timeline, failures, "created_at", called="failures")
    need(timeline, durations, "since est_duration_p99_ms", called="durations")
    need(timeline, overpaid, "until est_overpaid", called="overpaid")
    # What was not given is not drawn: an empty panel would say that nothing is logged.
    tells_points, tells_runs, tells_failures, tells_durations = (
        frame is not None for frame in (points, runs, failures, durations)
    )
    versions, points, runs, failures, durations = (
        pd.DataFrame() if frame is None else frame for frame in (versions, points, runs, failures, durations)
    )
    times = [moments(frame, name) for frame in (versions, points, runs, durations) for name in ("since", "until")]
    found = extent(moment for part in (*times, moments(failures, "created_at")) for moment in part)
    if found is None:
        return empty_figure(width, "No version, run or failure in this window.")
    codes = common_codes(words(failures, "error_code", "no code"))
    # On a phone the code stands above its marks.
    lane = LANE_PHONE if width < 0.7 * WIDE else LANE
    lanes = max(lane * len(codes), LANE) + 40 if tells_failures else 0
    extra = 70 + 40 if overpaid is not None and len(overpaid) else 0
    height = 62 + 190 * tells_points + extra + 100 * tells_runs + lanes + 80 * tells_durations + 34
    height += 10 * (not tells_points)
    spans = zip(moments(versions, "since"), moments(versions, "until"), words(versions, "role"), strict=True)
    shaded = tuple((since, until) for since, until, role in spans if role == "finding" and known(since, until))
    stage = TimePanels.build(width, height, *found, shaded)
    last = _ribbon(stage, versions)
    top = 72.0
    if tells_points:
        last = _points(stage, top, versions, points)
        top += 140 + 40
    if overpaid is not None and len(overpaid):
        last = _overpaid(stage, top, overpaid)
        top += extra
    if tells_runs:
        last = _runs(stage, top, runs)
        top += 60 + 40
    if tells_failures:
        last = failure_lanes(stage, top, failures, codes)
        top += lanes
    if tells_durations:
        last = _durations(stage, top, durations, alert_ms)
    time_axis(last, stage.since, stage.until, stage.room)
    return stage.figure


def _ribbon(stage: TimePanels, versions: pd.DataFrame) -> Axes:
    axes = stage.axes(10, 22, shade=False)
    axes.set_ylim(0, 1)
    taken = -1e9
    columns = (
        moments(versions, "since"),
        moments(versions, "until"),
        words(versions, "label"),
        words(versions, "role"),
    )
    for since, until, name, role in sorted(zip(*columns, strict=True)):
        if not known(since, until):
            continue
        axes.plot([since, until], [0.1, 0.1], color=role_colour(role), lw=5, solid_capstyle="butt", zorder=3)
        pixel = stage.room / (stage.until - stage.since)
        start, stop = (since - stage.since) * pixel, (until - stage.since) * pixel
        # The borders' times stand at both ends of a long stretch.
        text = fit(name, max(min(stop - start, max(stop - start - 2 * CLOCK, 60)), 34), bold=True)
        half = pixels(text, bold=True) / 2
        middle = min(max((start + stop) / 2, half), stage.room - half)
        moment = write.when(utc(since))
        clock = f"{moment[:3]} {moment[-5:]}"
        # When a version came, left of the border, where no name stands.
        if since > stage.since + 1 and not stage.phone and start - CLOCK > max(taken, 0):
            annotate(axes, (since, 0.1), clock, offset=(0, 13), ha="right", size=SMALL)
        if middle - half > taken + 4:
            named = role if role in ("before", "finding") else "mute"
            annotate(
                axes, (stage.since + middle / pixel, 0.1), text, offset=(0, 13), name=named, bold=True, ha="center"
            )
            taken = middle + half
    return axes


def _points(stage: TimePanels, top: float, versions: pd.DataFrame, points: pd.DataFrame) -> Axes:
    since, until = moments(points, "since"), moments(points, "until")
    size = max((last - first for first, last in zip(since, until, strict=True) if known(first, last)), default=0.0)
    ends = [*floats(points, "est_points_mean_low"), *floats(points, "est_points_mean_high")]
    has_interval = not stage.phone and any(known(end) for end in ends)
    what = f"mean per {bin_words(size)}" + (" with 95 % interval" if has_interval else "")
    axes = stage.axes(top, 140, f"Points per run, {what}" if len(points) else "Points per run")
    means = floats(points, "est_points_mean")
    lows, highs = floats(points, "est_points_mean_low"), floats(points, "est_points_mean_high")
    levels = floats(versions, "est_points_mean")
    from_zero(axes, [*means, *levels], [*lows, *highs])
    counts = floats(points, "logged_count")
    rows = zip(since, until, means, lows, highs, counts, words(points, "role"), strict=True)
    for first, last, mean, low, high, logged, role in rows:
        if not known(first, mean):
            continue
        at = (first + last) / 2 if known(last) else first
        shade = role_colour(role, "mute")
        if logged < FEWEST:
            axes.plot([at], [mean], "o", ms=3, mfc="none", mec=shade, mew=0.8, zorder=4)
            continue
        axes.plot([at], [mean], "o", ms=4, color=shade, mew=0, zorder=4)
        if known(low, high):
            axes.plot([at, at], [low, high], color=shade, lw=1, alpha=0.75, zorder=3)
    _levels(stage, axes, versions, levels, points, means)
    if not len(points):
        empty(axes, "no ok run logged")
    return axes


def _levels(
    stage: TimePanels, axes: Axes, versions: pd.DataFrame, levels: list[float], points: pd.DataFrame, means: list[float]
) -> None:
    labels: dict[str, tuple[float, str, str]] = {}
    columns = (
        moments(versions, "since"),
        moments(versions, "until"),
        words(versions, "label"),
        words(versions, "role"),
    )
    for level, since, until, name, role in zip(levels, *columns, strict=True):
        named = role if role in ("before", "finding") else "mute"
        if known(level, since, until):
            axes.plot([since, until], [level, level], color=role_colour(role), lw=1.5, zorder=2)
            labels.setdefault(name, (level, f"{fit(name, 60)} {write.number(level)}", named))
        else:
            own = [mean for mean, label in zip(means, words(points, "label"), strict=True) if label == name]
            ends = [mean for mean in own if known(mean)]
            if ends:
                labels[name] = (ends[-1], fit(name, 92), named)
    stage.beside(axes, list(labels.values())[-4:])


def _overpaid(stage: TimePanels, top: float, overpaid: pd.DataFrame) -> Axes:
    times, values = moments(overpaid, "until"), floats(overpaid, "est_overpaid")
    lows, highs = floats(overpaid, "est_overpaid_low"), floats(overpaid, "est_overpaid_high")
    is_short = values[-1] < 0
    if is_short:
        values, lows, highs = ([-x for x in part] for part in (values, highs, lows))
    what = "Underpaid" if is_short else "Overpaid"
    has_interval = not stage.phone and any(known(end) for end in (*lows, *highs))
    axes = stage.axes(top, 70, f"{what} points, running total" + (" with 95 % interval" if has_interval else ""))
    from_zero(axes, values, [*lows, *highs], count=2)
    # Nothing before the first run of the version, and no more after its last.
    at = [stage.since, times[0], *times, stage.until]
    line = [0.0, 0.0, *values, values[-1]]
    axes.plot(at, line, color=colour("finding"), lw=1.5, zorder=4)
    axes.fill_between(
        at,
        [0.0, 0.0, *lows, lows[-1]],
        [0.0, 0.0, *highs, highs[-1]],
        color=colour("finding"),
        alpha=0.2,
        lw=0,
        zorder=3,
    )
    stage.beside(axes, [(values[-1], write.number(values[-1], lows[-1], highs[-1]), "finding")])
    return axes


def _runs(stage: TimePanels, top: float, runs: pd.DataFrame) -> Axes:
    since, values = moments(runs, "since"), floats(runs, "est_runs")
    starts = sorted(moment for moment in since if known(moment))
    gaps = [after - before for before, after in pairwise(starts) if after > before]
    ends = moments(runs, "until")
    sizes = [last - first for first, last in zip(since, ends, strict=True) if known(first, last)]
    size = sizes[0] if sizes else min(gaps, default=min(DAY, stage.until - stage.since))
    axes = stage.axes(top, 60, f"Runs per {bin_words(size)}, estimated" if len(runs) else "Runs, estimated")
    lows, highs = floats(runs, "est_runs_low"), floats(runs, "est_runs_high")
    from_zero(axes, values, [], count=2)
    for first, value, low, high in zip(since, values, lows, highs, strict=True):
        if not known(first, value):
            continue
        axes.bar(first, value, width=size, align="edge", color=colour("still"), alpha=0.65, linewidth=0, zorder=2)
        # With many narrow bins the intervals would hide the bars.
        if known(low, high) and size / (stage.until - stage.since) * stage.room >= 12:
            axes.plot([first + size / 2] * 2, [low, high], color=colour("mute"), lw=1, zorder=3)
    if not len(runs):
        empty(axes, "no run logged")
    return axes


def _durations(stage: TimePanels, top: float, durations: pd.DataFrame, alert_ms: float) -> Axes:
    axes = stage.axes(top, 80, "p99 of ok runs, ms" + ("" if stage.phone else ", by day; an arrow has no upper bound"))
    values = floats(durations, "est_duration_p99_ms")
    lows, highs = floats(durations, "est_duration_p99_ms_low"), floats(durations, "est_duration_p99_ms_high")
    drawn = [value for value in (*values, *lows, *highs, alert_ms) if known(value) and value > 0]
    axes.set_yscale("log")
    bottom, ceiling = min([*drawn, 10.0]) * 0.8, max([*drawn, 100.0]) * 1.6
    axes.set_ylim(bottom, ceiling)
    powers = [10.0**power for power in range(-3, 9) if bottom <= 10.0**power <= ceiling]
    ticks(axes, "y", powers, [write.number(power) for power in powers])
    axes.axhline(alert_ms, color=colour("worse"), lw=1, ls=(0, (3, 2)), zorder=2)
    stage.beside(axes, [(alert_ms, f"alert at {write.number(alert_ms)} ms", "worse")])
    columns = (moments(durations, "since"), moments(durations, "until"), values, lows, highs, words(durations, "grade"))
    for since, until, value, low, high, grade in zip(*columns, strict=True):
        if not known(since, value) or value <= 0:
            continue
        at = (since + until) / 2 if known(until) else since
        if not stage.since <= at <= stage.until:
            at = min(max(since, stage.since), stage.until)
        few = grade.replace("_", " ") == "too few"
        fill = "none" if few else colour("mute")
        axes.plot([at], [value], "o", ms=4.5, mfc=fill, mec=colour("mute"), mew=1, zorder=4)
        top_end = high if known(high) else ceiling * 0.8
        axes.plot([at, at], [max(low, bottom) if known(low) else value, top_end], color=colour("mute"), lw=1, zorder=3)
        if not known(high):
            axes.plot([at], [top_end], "^", ms=4.5, mfc=colour("bg"), mec=colour("mute"), mew=0.9, zorder=4)
    if not len(durations):
        empty(axes, "no ok run logged")
    return axes
