"""What runs take beside their walk: a level per version, and per stretch of days where it changed from one day to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from analytics.findings.runaway_keys import Key, key_of
from analytics.findings.time_medians import Nodes, medians, pool, slopes

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

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
