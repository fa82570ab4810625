"""Who is growing: the nodes a version needs, day by day, and how long until they reach the cap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from analytics.estimates import comparisons, estimators
from analytics.estimates.estimate import NOTHING, TAIL, Estimate
from analytics.findings.runaway import forecast
from analytics.findings.runaway.forecast import Line, Step
from analytics.findings.runaway.keys import Key, key_of, keyed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from analytics.estimates.arrays import Floats, Ints
    from analytics.program import Size
    from analytics.warehouse.warehouse import Warehouse

SPREAD = 0.3
"""Square root of 0.9 · 0.1: the standard deviation of the share of one row below the p90."""


@dataclass(frozen=True, slots=True)
class DayLevels:
    """Days of one version. Grain of every array but the last three: day; of those: nodes, weight and day.

    Attributes:
        ages: Days before the last one of the version: 0, -1, …
        last: The last day.
        rows: Logged runs.
        stopped: Share of the runs that a cap stopped, estimated.
        p99, p90: Of nodes; infinite where only stopped runs are known.
        p90_error: Standard error of the p90, from the drawing of rows alone.
        age, nodes, weights, counts: The rows themselves; nodes are infinite for stopped runs, counts are logged runs.
    """

    ages: Ints
    last: np.datetime64
    rows: Ints
    stopped: Floats
    p99: Floats
    p90: Floats
    p90_error: Floats
    age: Ints
    nodes: Floats
    weights: Floats
    counts: Ints


def daily_levels(frame: pd.DataFrame) -> dict[Key, DayLevels]:
    """Daily quantiles of every version in a frame of the query nodes_by_day.

    Median-unbiased ("type 8" of Hyndman & Fan, *The American Statistician* 50, 1996), each row weighing its share of the
    effective rows (Σw)²/Σw². Rows without nodes are runs that a cap stopped: they rank above all others.

    Returns:
        Grain: realm, strategy, version, in the order of the frame.
    """
    import numpy as np

    if frame.empty:
        return {}
    key = ["realm_id", "strategy", "strategy_version"]
    versions = frame.groupby(key, dropna=False, sort=False, observed=True).ngroup().to_numpy()
    # It numbers the versions in the order of their first rows.
    names = list(frame[key].iloc[np.unique(versions, return_index=True)[1]].itertuples(index=False, name=None))
    days = frame["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
    first = int(days.min())
    width = int(days.max()) - first + 1
    group = versions * width + (days - first)
    nodes = frame["nodes_executed"].to_numpy(dtype=float, na_value=np.inf)
    # The query sorts its rows, NULLs last, so that mostly nothing is left to do.
    steps = np.diff(group)
    is_sorted = not ((steps < 0) | ((steps == 0) & (nodes[1:] < nodes[:-1]))).any()
    order = np.arange(len(group)) if is_sorted else np.lexsort((nodes, group))
    weights = frame["sample_weight"].to_numpy(dtype=float, na_value=np.nan)
    counts = frame["logged_count"].to_numpy(dtype=np.int64)
    order = order[weights[order] > 0]
    group, versions, days = group[order], versions[order], days[order]
    nodes, weights, counts = nodes[order], weights[order], counts[order]
    if not len(group):
        return {}
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes, stopped, p99, p90, error = _quantiles(starts, nodes, weights, counts)
    day_versions, day_days = versions[starts], days[starts]
    edges = np.flatnonzero(np.diff(day_versions, prepend=-1, append=-1))
    row_starts = np.append(starts, len(group))
    out: dict[Key, DayLevels] = {}
    for begin, end in pairwise(edges):
        own, rows, last = slice(begin, end), slice(row_starts[begin], row_starts[end]), day_days[end - 1]
        out[key_of(*names[int(day_versions[begin])])] = DayLevels(
            day_days[own] - last, last.astype("datetime64[D]"), sizes[own], stopped[own], p99[own], p90[own], error[own],
            days[rows] - last, nodes[rows], weights[rows], counts[rows],
        )  # fmt: skip
    return out


def _quantiles(
    starts: Ints, nodes: Floats, weights: Floats, counts: Ints
) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Rows, share stopped, p99, p90 and the standard error of the p90 of every day."""
    import numpy as np

    sizes = np.diff(np.append(starts, len(nodes)))
    mass = weights * counts
    total, squares = np.add.reduceat(mass, starts), np.add.reduceat(mass * weights, starts)
    effective = total**2 / squares
    share = np.repeat(effective / total, sizes)
    each = weights * share  # what one row weighs, in effective rows
    until = np.cumsum(mass)
    until -= np.repeat(until[starts] - mass[starts], sizes)
    until *= share
    width = np.repeat(effective + 1 / 3, sizes)
    day = np.repeat(np.arange(len(starts)), sizes)
    # Rows that share a value span from the place of the first to that of the last.
    places = np.empty(2 * len(nodes))
    places[0::2] = day + (until - mass * share + each / 2 + 1 / 6) / width
    places[1::2] = day + (until - each / 2 + 1 / 6) / width
    values = np.repeat(nodes, 2)

    def at(q: Floats | float) -> Floats:
        wanted = np.arange(len(starts)) + q
        right = np.clip(np.searchsorted(places, wanted), 2 * starts, 2 * (starts + sizes) - 1)
        left = np.maximum(right - 1, 2 * starts)
        span = places[right] - places[left]
        part = np.where(span > 0, np.clip((wanted - places[left]) / np.where(span > 0, span, 1), 0, 1), 1.0)
        low, high = values[left], values[right]
        with np.errstate(invalid="ignore"):
            return np.where((high == low) | np.isinf(high), low, low + part * (high - low))

    step = SPREAD / np.sqrt(effective)
    with np.errstate(invalid="ignore"):
        error = (at(np.minimum(0.9 + step, 1.0)) - at(0.9 - step)) / 2
    stopped = np.add.reduceat(np.where(np.isinf(nodes), mass, 0.0), starts) / total
    return np.add.reduceat(counts, starts), stopped, at(0.99), at(0.9), error


HISTORY = timedelta(days=14)
"""How far back trends and comparisons look."""
HORIZON_DAYS = 30.0
"""Growth that meets the cap later than this is not called heading for it."""
DAY_ROWS = 10
"""Logged rows a day needs to take part in a trend."""
MANY_ROWS = 200
"""Logged rows a day needs for its own p99 to be followed: two of them lie beyond it."""
MANY_DAYS = 0.75
"""Part of the days that must have so many, or the p90 is followed."""
TREND_DAYS = forecast.LINE_DAYS
"""Days a trend needs: through three points almost any line fits."""
STOPPED = 0.01
"""Share of stopped runs from which a day's p99 is not known: it lies among them."""
SLOWING = 0.1
"""Below this chance of no bend, or above it for the later half alone, no last day is promised."""
LEVELLED = 0.01
"""Below this chance of no bend growth has levelled off, when the later half does not grow."""


class TrendState(StrEnum):
    """How the nodes of a version move from day to day, as far as the log tells."""

    GROWING = "growing"
    """One-sided 2.5 %, corrected for looking at many versions."""
    NOT_GROWING = "not growing"
    """No growth is ruled in, and any that meets the cap within `HORIZON_DAYS` is ruled out."""
    CANNOT_TELL = "cannot tell"
    LEVELLED_OFF = "levelled off"
    """It grew and does not any more."""
    STEP = "step"
    """It jumped on one day."""
    BOUNDED = "bounded"
    """Its program is smaller than the cap."""
    AT_THE_CAP = "at the cap"
    """One in a hundred runs of the last day was stopped."""
    TOO_FEW_DAYS = "too few days"


@dataclass(frozen=True, slots=True)
class Trend:
    """How the nodes of one version move.

    The forecast is the day on which the p99 of nodes of its runs reaches the cap if they go on as in the window: where the
    straight line through the p99 of the days, as quantities of all runs and not of the logged ones, meets the cap. Chance of
    rows and of days is in its range; a change of course is not.

    Attributes:
        state: What is said of it.
        slope: Nodes per day of the p99, with its interval.
        quantile: Which daily quantile was followed: 0.99, or 0.9 where a day has few rows.
        days: Days that took part.
        level: p99 of nodes on the last of these days, on the line.
        days_to_cap: From the last of these days, 95 %. The upper end is infinite where the growth may end: unless it is
            growing, and where it slows down. The lower end is 0 where fewer than 368 rows do not bound the p99 from above.
            NaN where it is bounded or with too few days. The cap counts a little more than the trace does, so the runs may be
            stopped earlier.
        last_day: The last of these days, a date; None with too few.
        span: Days from the first of these days to the last.
        step: The jump, where there is one.
        entries_max: Of a bounded version, the most nodes a run can have.
    """

    state: TrendState
    slope: Estimate
    quantile: float
    days: int
    level: Estimate
    days_to_cap: Estimate
    last_day: date | None = None
    span: int = 0
    step: Step | None = None
    entries_max: int | None = None


NO_TREND = Trend(TrendState.TOO_FEW_DAYS, NOTHING, math.nan, 0, NOTHING, NOTHING)


def by_day(lake: Warehouse, until: datetime) -> pd.DataFrame:
    """Nodes per run over the days before ``until``.

    Grain: realm, strategy, version, UTC day, nodes_executed, sample_weight; ok runs, and with NULL nodes those that a cap
    stopped (see the query nodes_by_day).
    """
    return lake.run("nodes_by_day", since=until - HISTORY, until=until)


@dataclass(frozen=True, slots=True)
class DayQuantile:
    """The p99 of nodes of a version on one UTC day."""

    day: date
    p99: Estimate


def daily_p99(counts: pd.DataFrame) -> dict[Key, list[DayQuantile]]:
    """The p99 of nodes of each day, for pictures; days without nodes are not in the list."""
    import numpy as np

    by_version: dict[Key, list[DayQuantile]] = {}
    for key, rows in keyed(counts):
        for day, same_day in rows.groupby("day", sort=True):
            times = same_day["logged_count"].to_numpy()
            nodes = np.repeat(same_day["nodes_executed"].to_numpy(dtype=float, na_value=math.inf), times)
            weights = np.repeat(same_day["sample_weight"].to_numpy(dtype=float), times)
            p99 = estimators.quantile(nodes, weights, 0.99)
            if math.isfinite(p99.value):  # of a day with stopped runs alone nothing is known
                by_version.setdefault(key, []).append(DayQuantile(day, p99))
    return by_version


def trends(counts: pd.DataFrame, node_cap: float, sizes: Mapping[Key, Size] | None = None) -> dict[Key, Trend]:
    """The trend of every version in ``by_day``.

    A line through daily quantiles, and Fieller's interval for where it meets the cap (see ``forecast``). Where the days have few
    rows it is a line through their p90, and the p99 is taken to keep its distance from it or its ratio to it, whichever: the
    range holds both. The chance of no growth is corrected for the number of versions that could reach the cap (Benjamini &
    Hochberg, *JRSS B* 57, 1995): a quiet fleet of any size stays quiet in 39 of 40 reports.

    Args:
        counts: ``by_day(lake, until)``.
        node_cap: The engine's cap of nodes.
        sizes: How large each program can get; a version whose program stays below the cap cannot reach it, and one that visits
            more than it leaves entries meets it at fewer of them.
    """
    known: dict[Key, Trend] = {}
    drawn: dict[Key, _Drawn] = {}
    for key, levels in daily_levels(counts).items():
        size = (sizes or {}).get(key)
        one = _drawn(levels, size.entries_at(node_cap) if size else node_cap)
        if size is not None and size.visits_max is not None and size.visits_max <= node_cap:
            base = one.trend if isinstance(one, _Drawn) else one
            known[key] = replace(base, state=TrendState.BOUNDED, days_to_cap=NOTHING, entries_max=size.entries_max)
        elif isinstance(one, Trend):
            known[key] = one
        else:
            drawn[key] = one
    chances = comparisons.adjusted([one.chance for one in drawn.values()])
    return known | {key: _with_state(one, chance) for (key, one), chance in zip(drawn.items(), chances, strict=True)}


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A line through the days of a version, before it is judged among the others.

    Attributes:
        trend: With the range of a growing one; what its state is, is not told yet.
        chance: One-sided p-value of no growth.
        soonest: The first day not ruled out, were the largest run the largest there can be.
        ages, values: The days behind the line.
        is_stopped: The p99 of the last day lies among stopped runs.
    """

    trend: Trend
    chance: float
    soonest: float
    ages: Floats
    values: Floats
    is_stopped: bool


def _with_state(one: _Drawn, chance: float) -> Trend:
    trend, ages, values = one.trend, one.ages, one.values
    days = trend.days_to_cap
    if one.is_stopped:
        return replace(trend, state=TrendState.AT_THE_CAP, days_to_cap=replace(days, value=0.0, low=0.0))
    open_ended = replace(trend, days_to_cap=replace(days, value=math.nan, high=math.inf, is_at_least=True))
    jump = forecast.step(ages, values)
    if jump is not None and jump.is_sure:
        return replace(open_ended, state=TrendState.STEP, step=jump)
    if not chance < TAIL or (jump is not None and jump.gain > 0):
        return replace(
            open_ended, state=TrendState.CANNOT_TELL if one.soonest <= HORIZON_DAYS else TrendState.NOT_GROWING
        )
    late = ages > ages[0] / 2 if (ages > ages[0] / 2).sum() >= TREND_DAYS else ages >= ages[-TREND_DAYS]
    unbent, later = forecast.bend(ages, values), forecast.line(ages[late], values[late]).chance
    if unbent < LEVELLED and not later < TAIL:
        return replace(open_ended, state=TrendState.LEVELLED_OFF)
    slows = unbent < SLOWING or not later < SLOWING
    return replace(trend, state=TrendState.GROWING, days_to_cap=replace(days, high=math.inf) if slows else days)


def _drawn(levels: DayLevels, cap: float) -> _Drawn | Trend:
    """The line of one version."""
    usable = (levels.rows >= DAY_ROWS) & (levels.stopped < STOPPED)
    many = usable & (levels.rows >= MANY_ROWS)
    follows_p99 = many.sum() >= max(TREND_DAYS, MANY_DAYS * usable.sum())
    takes_part = many if follows_p99 else usable
    days = int(takes_part.sum())
    if days < TREND_DAYS:
        return replace(NO_TREND, days=days)
    last = int(levels.ages[takes_part].max())
    ages = (levels.ages[takes_part] - last).astype(float)
    values = (levels.p99 if follows_p99 else levels.p90)[takes_part]
    line = forecast.line(ages, values)
    rows = int(levels.rows[takes_part].sum())
    heights = [_Height(line)] if follows_p99 else _beyond(levels, takes_part, last, line, values)
    ranges = [forecast.days_until(each.line, cap, below=each.below, above=each.above) for each in heights]
    soonest = min(forecast.days_until(each.line, cap, above=min(each.above, each.seen))[0] for each in heights)
    level = sum(each.line.level for each in heights) / len(heights)
    slope = sum(each.line.slope for each in heights) / len(heights)
    grade = "good" if days >= 10 and follows_p99 else "rough"
    ends = [each.line.critical * each.line.slope_error for each in heights]
    trend = Trend(
        TrendState.CANNOT_TELL,
        Estimate(
            slope,
            min(each.line.slope - end for each, end in zip(heights, ends, strict=True)),
            max(each.line.slope + end for each, end in zip(heights, ends, strict=True)),
            rows,
            grade,
        ),
        0.99 if follows_p99 else 0.9,
        days,
        Estimate(level, min(each.low for each in heights), max(each.high for each in heights), rows, grade),
        Estimate(
            max(cap - level, 0.0) / slope if slope > 0 else math.nan,
            min(each[0] for each in ranges),
            max(each[1] for each in ranges),
            rows,
            "rough",
        ),
        last_day=(levels.last + last).astype(object),
        span=int(-ages[0]),
    )
    is_stopped = bool(levels.stopped[levels.rows >= DAY_ROWS][-1] >= STOPPED)
    return _Drawn(trend, line.chance, soonest, ages, values, is_stopped)


@dataclass(frozen=True, slots=True)
class _Height:
    """A line of the p99: what scatters about it is in the line, what else is not known of its height beside it."""

    line: Line
    below: float = 0.0
    above: float = 0.0
    seen: float = math.inf

    @property
    def low(self) -> float:
        return self.line.level - math.hypot(self.line.critical * math.sqrt(self.line.level_variance), self.below)

    @property
    def high(self) -> float:
        return self.line.level + math.hypot(self.line.critical * math.sqrt(self.line.level_variance), self.above)


def _beyond(levels: DayLevels, takes_part: NDArray[np.bool_], last: int, line: Line, values: Floats) -> list[_Height]:
    """The p99 above a line of the p90, from the rows of all days together: at a distance that stays, or at a ratio that does."""
    import numpy as np

    # How much of a day's deviation from the line is the day's, and not of its few rows: only that is taken from its rows.
    off = values - (line.level + line.slope * (levels.ages[takes_part] - last))
    scatter = float(off @ off) / line.free
    noise = float(np.mean(levels.p90_error[takes_part] ** 2))
    day_part = max(0.0, 1 - noise / scatter) if scatter > 0 and math.isfinite(noise) else 0.0
    heights = np.full(int(levels.ages.max() - levels.ages.min()) + 1, math.nan)
    heights[levels.ages[takes_part] - levels.ages.min()] = values - (1 - day_part) * off
    of_row = heights[levels.age - levels.ages.min()]
    rows = ~np.isnan(of_row)
    nodes, of_row = levels.nodes[rows], of_row[rows]
    weights, times = levels.weights[rows], levels.counts[rows]
    found = []
    for is_ratio in (False, True):
        if is_ratio and not (of_row > 0).all():
            continue  # at heights of zero there are no ratios
        beyond = np.repeat(nodes / of_row if is_ratio else nodes - of_row, times)
        p99 = estimators.quantile(beyond, np.repeat(weights, times), 0.99, process=True)
        below, above, seen = (
            p99.value - p99.low,
            p99.high - p99.value,
            float(beyond[beyond < math.inf].max()) - p99.value,
        )
        if is_ratio:
            scale = max(line.level, 0.0)
            found.append(_Height(line.scaled(p99.value), below * scale, above * scale, seen * scale))
        else:
            found.append(_Height(line.raised(p99.value), below, above, seen))
    return found
