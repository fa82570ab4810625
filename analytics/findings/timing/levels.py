"""What runs take beside their walk: a level per version, and per stretch of days where it changed from one day to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from analytics.findings.runaway.keys import Key, key_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from analytics.estimates.arrays import Floats, Ints

BINS = 12
"""Bins of nodes per program: medians of many runs stand up to stalls, and twelve are enough for a line."""
LEAST = 24.0
"""Logged rows below which a program's own runs say nothing about the cost of its nodes."""
_LEAST_IN_BIN = 3.0
_FLOOR = 0.02
"""Least standard error of a median, relative: medians are no straight line, however many rows there are."""
_HUBER = 1.345
_LEAN = 30.0
"""Rows of a bin whose error is as much its own as its program's."""


@dataclass(frozen=True, slots=True)
class Medians:
    """Medians of groups, with the standard errors of order statistics.

    Attributes:
        value: Weighted median; NaN for an empty group.
        error: Its standard error: half of what lies between the quantiles ``1/2 ± 1/(2√n)`` (distribution-free; David &
            Nagaraja, *Order Statistics*, 2003, section 7.1).
        count: Rows of the group.
    """

    value: Floats
    error: Floats
    count: Floats


def medians(groups: Ints, values: Floats, counts: Floats, size: int) -> Medians:
    """The median of each group of rows.

    Args:
        groups: Group of each row, from 0.
        values: What is measured.
        counts: Logged runs a row stands for.
        size: Number of groups.
    """
    import numpy as np

    total: Floats = np.bincount(groups, counts, size).astype(float)
    if len(values) == 0:
        empty = np.full(size, np.nan)
        return Medians(empty, empty.copy(), total)
    order = _order(groups, values)
    ranked, weights = values[order], counts[order]
    # The middle of each row's own weight: the median of two rows lies between them.
    middle = np.cumsum(weights) - weights / 2
    before = np.concatenate(([0.0], np.cumsum(total)[:-1]))
    members = np.bincount(groups, minlength=size)
    last = np.cumsum(members) - 1
    first = last - members + 1

    def at(share: Floats) -> Floats:
        wanted = before + share * total
        above = np.clip(np.searchsorted(middle, wanted), first, np.maximum(last, first))
        below = np.maximum(above - 1, np.minimum(first, above))
        above, below = (np.clip(place, 0, len(ranked) - 1) for place in (above, below))
        gap = middle[above] - middle[below]
        part = np.where(gap > 0, np.clip((wanted - middle[below]) / np.where(gap > 0, gap, 1.0), 0, 1), 0.0)
        found: Floats = ranked[below] + part * (ranked[above] - ranked[below])
        return found

    spread = 0.5 / np.sqrt(np.maximum(total, 1.0))
    value = np.where(members > 0, at(np.full(size, 0.5)), np.nan)
    error = (at(np.minimum(0.5 + spread, 1.0)) - at(np.maximum(0.5 - spread, 0.0))) / 2
    return Medians(value, np.where(members > 0, error, np.nan), total)


def _order(groups: Ints, values: Floats) -> Ints:
    """Rows by group, then by value: both packed into one integer, which sorts in half the time of two keys.

    Values are compared as single precision, whose bits are in order when the sign is turned.
    """
    import numpy as np

    bits = values.astype(np.float32).view(np.uint32)
    turned = bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    return np.argsort((groups.astype(np.uint64) << np.uint64(32)) | turned)


@dataclass(frozen=True, slots=True)
class Slopes:
    """What one more node costs, per group.

    Attributes:
        value: Milliseconds per node, from the group's own runs; NaN where they do not tell.
        error: Standard error.
    """

    value: Floats
    error: Floats


def slopes(groups: Ints, nodes: Floats, took: Floats, counts: Floats, size: int) -> Slopes:
    """A robust line through each group's medians over bins of nodes: same program, same queries, other runs.

    Bins have about equal numbers of rows; their medians are weighted by their precision and by Huber's function (*Annals of
    Mathematical Statistics* 35, 1964), so that neither a stalled run nor an odd bin turns the line.
    """
    import numpy as np

    bins = _bins(groups, nodes, counts, size)
    level = medians(bins, took, counts, size * BINS)
    place = np.bincount(bins, counts * nodes, size * BINS) / np.maximum(level.count, 1e-300)
    owner = np.repeat(np.arange(size), BINS)
    error = np.hypot(_steadied(level, owner, size), _FLOOR * level.value)
    usable = (level.count >= _LEAST_IN_BIN) & (error > 0)
    x, y, error, owner = place[usable], level.value[usable], error[usable], owner[usable]
    base = 1 / error**2
    huber = np.ones(len(x))
    slope = np.zeros(size)
    inertia = np.zeros(size)
    chi = np.zeros(size)
    points = np.bincount(owner, minlength=size)
    for _ in range(8):
        weight = base * huber
        total = np.maximum(np.bincount(owner, weight, size), 1e-300)
        centre_x = (np.bincount(owner, weight * x, size) / total)[owner]
        centre_y = (np.bincount(owner, weight * y, size) / total)[owner]
        inertia = np.bincount(owner, weight * (x - centre_x) ** 2, size).astype(float)
        product = np.bincount(owner, weight * (x - centre_x) * (y - centre_y), size)
        slope = np.divide(product, inertia, out=np.zeros(size), where=inertia > 0)
        residual = np.abs(y - centre_y - slope[owner] * (x - centre_x)) / error
        chi = np.bincount(owner, np.minimum(residual, 3.0) ** 2, size).astype(float)
        huber = np.minimum(1.0, _HUBER / np.maximum(residual, 1e-12))
    told = (points >= 3) & (inertia > 0) & (np.bincount(groups, counts, size) >= LEAST)
    # More scatter than the medians' own errors: the line does not fit, and says less than it seems.
    stretch = np.sqrt(np.maximum(chi / np.maximum(points - 2, 1), 1.0))
    errors = np.divide(stretch, np.sqrt(inertia), out=np.full(size, np.nan), where=inertia > 0)
    return Slopes(np.where(told, slope, np.nan), np.where(told, errors, np.nan))


def _steadied(level: Medians, owner: Ints, size: int) -> Floats:
    """Errors of bins of few rows lean on the program's other bins: a median that came out sharp by chance would rule the line."""
    import numpy as np

    own = np.where(np.isfinite(level.error), level.error**2 * level.count, 0.0)
    usable = level.count >= _LEAST_IN_BIN
    total = np.bincount(owner, np.where(usable, level.count, 0.0), size)
    typical = np.bincount(owner, np.where(usable, own * level.count, 0.0), size) / np.maximum(total, 1e-300)
    mixed = (own * level.count + typical[owner] * _LEAN) / (level.count + _LEAN)
    found: Floats = np.sqrt(mixed / np.maximum(level.count, 1e-300))
    return found


def _bins(groups: Ints, nodes: Floats, counts: Floats, size: int) -> Ints:
    """A bin of nodes within each group for every row; equal nodes share one."""
    import numpy as np

    order = _order(groups, nodes)
    g, x, w = groups[order], nodes[order], counts[order]
    new = np.r_[True, (np.diff(g) != 0) | (np.diff(x) != 0)] if len(g) else np.zeros(0, bool)
    value = np.cumsum(new) - 1
    held = np.bincount(value, w)
    owner = g[new]
    total = np.bincount(g, w, size)
    before = np.concatenate(([0.0], np.cumsum(total)[:-1]))
    rank = (np.cumsum(held) - held / 2 - before[owner]) / np.maximum(total[owner], 1e-300)
    place = np.clip((rank * BINS).astype(np.int64), 0, BINS - 1)
    out = np.empty(len(groups), np.int64)
    out[order] = (owner * BINS + place)[value]
    return out


@dataclass(frozen=True, slots=True)
class Nodes:
    """What a node costs in each group once all groups were heard.

    Attributes:
        value: Milliseconds per node; NaN when no group tells.
        error: Standard deviation of what is still not known.
        own: Whether the group's own runs say more than those of the others.
        pooled: The typical program's; NaN when no group tells.
    """

    value: Floats
    error: Floats
    own: NDArray[np.bool_]
    pooled: float


def pool(found: Slopes) -> Nodes:
    """Own slopes where they are sharp, the typical one where they are not, in between by their precision.

    Empirical Bayes (Morris, *JASA* 78, 1983). Programs differ by what their nodes are: by a tenth at least, and by three tenths
    where fewer than four tell.
    """
    import numpy as np

    value, error = found.value, found.error
    is_known = np.isfinite(value) & np.isfinite(error)
    if not is_known.any():
        nothing = np.full(len(value), np.nan)
        return Nodes(nothing, nothing.copy(), is_known, float("nan"))
    one = np.zeros(int(is_known.sum()), np.int64)
    between, middle = 0.0, 0.0
    for _ in range(4):
        weight = 1 / (error[is_known] ** 2 + between**2 + 1e-12)
        middle = max(float(medians(one, value[is_known], weight, 1).value[0]), 0.0)
        apart = float(medians(one, np.abs(value[is_known] - middle), weight, 1).value[0]) * 1.4826
        noise = float(np.average(error[is_known] ** 2, weights=weight))
        between = max(apart**2 - noise, 0.0) ** 0.5
        between = max(between, (0.1 if is_known.sum() >= 4 else 0.3) * middle)
    pooled_error = (between**2 + 1 / np.sum(1 / (error[is_known] ** 2 + between**2 + 1e-12))) ** 0.5
    precision = np.where(is_known, 1 / np.where(is_known, error**2, 1.0), 0.0)
    prior = 1 / max(pooled_error, 1e-9) ** 2
    mixed = (np.where(is_known, value, 0.0) * precision + middle * prior) / (precision + prior)
    return Nodes(np.maximum(mixed, 0.0), 1 / np.sqrt(precision + prior), precision > prior, middle)


LEAST_ROWS = 8.0
"""Logged rows a stretch of a version needs for a level."""
_LEAST_DAY = 5.0
_SURE = 5.0
"""Standard errors between the days before and after for a change: the best of some dozen places is looked for."""
_MOST_CHANGES = 2


@dataclass(frozen=True, slots=True)
class Level:
    """One version in one stretch of days.

    Attributes:
        key: Which version.
        stretch: Number of changes of the fleet that came before it; 0 where there was none.
        ms: Median time beside the walk.
        error: Its standard error, that of the walk's share included.
        nodes: Median nodes.
        rows: Logged ok runs.
    """

    key: Key
    stretch: int
    ms: float
    error: float
    nodes: float
    rows: float


@dataclass(frozen=True, slots=True)
class Levels:
    """All levels.

    Attributes:
        levels: By family, oldest version first.
        slopes: Milliseconds per node of each version and the standard deviation of that; NaN when nothing tells.
        own_slope: Versions whose own runs say what a node costs.
        per_node: A typical program's; NaN when nothing tells.
        changes: First days on which some version took more, or less, than the day before.
        changed: The changes of each version: first day, and how many milliseconds more.
        first_day: The first day of each version.
    """

    levels: list[Level]
    slopes: dict[Key, tuple[float, float]]
    own_slope: frozenset[Key]
    per_node: float
    changes: list[date]
    changed: dict[Key, list[tuple[date, float]]]
    first_day: dict[Key, date]


def levels(frame: pd.DataFrame, *, extra_ms: float = 10.0, times: float = 3.0) -> Levels:
    """The levels of a fleet.

    Args:
        frame: realm_id, strategy, strategy_version, nodes_executed, duration_ms of ok runs; day and logged_count (runs that a
            row stands for) where there are such columns; rows of another status, where there is such a column, are left out.
        extra_ms, times: A change of days is at least so many milliseconds and so many times.
    """
    import numpy as np
    import pandas as pd

    if "status" in frame.columns:
        frame = frame[frame["status"] == "ok"]
    frame = frame[frame["nodes_executed"].notna() & frame["duration_ms"].notna()]
    if frame.empty:
        return Levels([], {}, frozenset(), float("nan"), [], {}, {})
    codes = [pd.factorize(frame[name], use_na_sentinel=False) for name in ("realm_id", "strategy", "strategy_version")]
    packed = (codes[0][0] * len(codes[1][1]) + codes[1][0]) * len(codes[2][1]) + codes[2][0]
    version, packs = pd.factorize(packed)
    keys = [_key(int(pack), [found for _, found in codes]) for pack in packs]
    nodes, took = (frame[name].to_numpy(dtype=float) for name in ("nodes_executed", "duration_ms"))
    counts = frame["logged_count"].to_numpy(dtype=float) if "logged_count" in frame.columns else np.ones(len(frame))
    day, days = _days(frame)
    version = version.astype(np.int64)

    first = pool(slopes(version, nodes, took, counts, len(keys)))
    beside = _beside(took, nodes, version, first)
    changed = _changes(version, day, beside, counts, keys, days, extra_ms, times)
    changes = _common(changed)
    stretch = np.searchsorted(np.array([change.toordinal() for change in changes]), _ordinals(days), side="right")[day]
    group = version * (len(changes) + 1) + stretch
    size = len(keys) * (len(changes) + 1)
    # A change of the queries is no change of the walk: each stretch is laid on the version's own middle.
    moved = [_centred(values, version, group, counts, len(keys), size) for values in (nodes, took)]
    final = pool(slopes(version, moved[0], moved[1], counts, len(keys))) if changes else first
    middle = medians(group, nodes, counts, size)
    level = medians(group, _beside(took, nodes, version, final), counts, size)
    owner = np.repeat(np.arange(len(keys)), len(changes) + 1)
    slope_error = np.nan_to_num(final.error)[owner]
    error = np.hypot(level.error, slope_error * middle.value)
    found = [
        Level(keys[owner[at]], int(at % (len(changes) + 1)), float(level.value[at]), float(error[at]), float(middle.value[at]),
              float(level.count[at]))
        for at in range(size) if level.count[at] >= LEAST_ROWS
    ]  # fmt: skip
    found.sort(key=lambda level: (level.key.realm or "", level.key.realm is None, *level.key[1:], level.stretch))
    slope = {key: (float(final.value[i]), float(final.error[i])) for i, key in enumerate(keys)}
    own = frozenset(key for i, key in enumerate(keys) if final.own[i])
    first_day = np.full(len(keys), len(days), np.int64)
    np.minimum.at(first_day, version, day)
    began = {key: days[first_day[i]] for i, key in enumerate(keys)}
    return Levels(found, slope, own, final.pooled, changes, changed, began)


def _key(packed: int, values: list[pd.Index]) -> Key:
    rest, version = divmod(packed, len(values[2]))
    realm, strategy = divmod(rest, len(values[1]))
    return key_of(values[0][realm], values[1][strategy], values[2][version])


def _days(frame: pd.DataFrame) -> tuple[Ints, list[date]]:
    import numpy as np
    import pandas as pd

    if "day" not in frame.columns:
        return np.zeros(len(frame), np.int64), [date(1970, 1, 1)]
    code, found = pd.factorize(pd.to_datetime(frame["day"]), sort=True)
    return code.astype(np.int64), [moment.date() for moment in found]


def _ordinals(days: list[date]) -> Ints:
    import numpy as np

    return np.array([day.toordinal() for day in days], dtype=np.int64)


def _beside(took: Floats, nodes: Floats, version: Ints, cost: Nodes) -> Floats:
    import numpy as np

    beside: Floats = took - np.nan_to_num(cost.value)[version] * nodes
    return beside


def _centred(values: Floats, version: Ints, group: Ints, counts: Floats, versions: int, size: int) -> Floats:
    centre = medians(group, values, counts, size).value[group]
    own = medians(version, values, counts, versions).value[version]
    moved: Floats = values - centre + own
    return moved


def _changes(
    version: Ints,
    day: Ints,
    beside: Floats,
    counts: Floats,
    keys: list[Key],
    days: list[date],
    extra_ms: float,
    times: float,
) -> dict[Key, list[tuple[date, float]]]:
    """Days on which a version's time beside its walk jumped and stayed."""
    import numpy as np

    daily = medians(version * len(days) + day, beside, counts, len(keys) * len(days))
    found: dict[Key, list[tuple[date, float]]] = {}
    for i, key in enumerate(keys):
        own = slice(i * len(days), (i + 1) * len(days))
        usable = np.flatnonzero(daily.count[own] >= _LEAST_DAY)
        steps = _steps(daily.value[own][usable], daily.error[own][usable], extra_ms, times)
        if steps:
            found[key] = [(days[usable[at]], after) for at, after in steps]
    return found


def _steps(value: Floats, error: Floats, extra_ms: float, times: float) -> list[tuple[int, float]]:
    """Places where a series of daily medians steps, each with the difference; at most two, in their order.

    A step is where two medians fit best by least absolute deviations (one odd day makes none), if what lies between them is
    large and clear.
    """
    import numpy as np

    if len(value) < 2:
        return []

    def apart(at: int) -> float:
        return sum(float(np.abs(part - np.median(part)).sum()) for part in (value[:at], value[at:]))

    place = min(range(1, len(value)), key=apart)
    sides = [(value[:place], error[:place]), (value[place:], error[place:])]
    before, after = (float(np.median(part)) for part, _ in sides)
    low, high = sorted((max(before, 0.5), max(after, 0.5)))
    noise = math.hypot(*(_spread(part, own) for part, own in sides))
    if abs(after - before) < extra_ms or high < times * low or abs(after - before) < _SURE * noise:
        return []
    further = [(place, after - before)]
    for start, (part, own) in zip((0, place), sides, strict=True):
        if len(part) >= 4:
            further += [(start + at, more) for at, more in _steps(part, own, extra_ms, times)[:1]]
    return sorted(further[:_MOST_CHANGES])


def _spread(value: Floats, error: Floats) -> float:
    """Standard error of the median of some days: from the days' own errors, or from how they differ if that is more."""
    import numpy as np

    inner = 1.2533 * float(np.sqrt(np.sum(error**2))) / len(value)
    outer = 1.2533 * 1.4826 * float(np.median(np.abs(value - np.median(value)))) / math.sqrt(len(value))
    # A single day has no scatter to look at.
    return max(inner, outer, 0.02 * float(np.median(np.abs(value))))


def _common(changed: dict[Key, list[tuple[date, float]]]) -> list[date]:
    """The days on which most versions changed, at most two."""
    seen: dict[date, int] = {}
    for steps in changed.values():
        for day, _ in steps:
            seen[day] = seen.get(day, 0) + 1
    return sorted(sorted(seen, key=lambda day: (-seen[day], day))[:_MOST_CHANGES])
