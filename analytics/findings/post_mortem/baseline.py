"""What a window is compared with: the time or version before it, at the same kinds of hours, or what the reader asks for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from analytics.errors import UsageError
from analytics.estimates import comparisons, estimators
from analytics.estimates.comparisons import Difference, share_of
from analytics.findings.post_mortem.change_points import LEAST_ROWS
from analytics.findings.post_mortem.family import Family, family_runs
from analytics.findings.post_mortem.groups import RunColumns, is_weekend, strata
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Ints

LOOK_BACK = timedelta(days=7)
"""How much of the time before a change is its baseline: a week holds every weekday once."""

SEASON_LOOK_BACK = timedelta(days=28)
"""How far back earlier weeks are looked at, where the lake holds them: to know a weekend when there is one."""

_DAY = 86_400_000_000
_WEEK = 7 * _DAY
_SAME_KIND = 5
"""Rows of a kind of hour, for its mean to stand for it."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline that the reader asked for.

    Attributes:
        label: ``v2``, or the window in words.
        members: The version: (strategy id, version) pairs; empty for a window.
        window: The window; ``None`` for a version.
        rows: Its logged runs, oldest first, as ``family_runs`` gives them; ``None`` before they were read.
    """

    label: str
    members: tuple[tuple[str, int], ...] = ()
    window: Window | None = None
    rows: pd.DataFrame | None = None


def parse(text: str, family: Family, asked: Window | None = None) -> Baseline | None:
    """Read a baseline the way people write one.

    Args:
        text: Empty to let the report choose; ``v2``, or ``v2@1f3c`` with the start of the strategy id where two versions have
            one number; or a window, ``2026-07-01..2026-07-05`` or ``2026-07-01 09:00..2026-07-02``, its end exclusive.
        family: Whose versions.
        asked: The window in question, which a baseline must not share.

    Raises:
        UsageError: No such version, several, no window, or one that overlaps what it is compared with.
    """
    word = text.strip()
    if not word:
        return None
    if ".." in word:
        since, until = (part.strip() for part in word.split("..", 1))
        if not since or not until:
            raise UsageError(f"the baseline {word!r} has no two ends", hint="write 2026-07-01..2026-07-05")
        window = Window.parse(since, until)
        if asked is not None and window.since < asked.until and asked.since < window.until:
            raise UsageError(
                f"the baseline {word} overlaps the window {asked}: the same runs would be on both sides",
                hint="end the baseline where the window begins, or name a version: --baseline v2",
            )
        return Baseline(str(window), window=window)
    match = re.fullmatch(r"[vV]?(\d{1,9})(?:@(.+))?", word)
    if match is None:
        raise UsageError(
            f"{word!r} is no baseline",
            hint=f"give a version ({_known(family)}) or a window: 2026-07-01..2026-07-05",
        )
    number, prefix = int(match[1]), match[2] or ""
    members = tuple(m for m in family.members if m[1] == number and m[0].startswith(prefix))
    if not members:
        raise UsageError(f"{family.name!r} has no version {word}", hint=f"known: {_known(family)}")
    if len(members) > 1:
        choices = ", ".join(f"v{number}@{strategy[:8]}" for strategy, _ in members)
        raise UsageError(f"{len(members)} strategies have the version {number}", hint=f"say which: {choices}")
    return Baseline(_label(members[0], family), members=members)


def with_rows(
    asked: Baseline, lake: Warehouse, family: Family, history: pd.DataFrame, *, part: float = 1.0
) -> Baseline:
    """Read the baseline's runs.

    Args:
        asked: What ``parse`` gave.
        lake: Where to look.
        family: Whose runs.
        history: Runs already read; a version that is among them is not looked for further back.
        part: The part of the drawn runs that is read.
    """
    if asked.window is not None:
        return replace(asked, rows=family_runs(lake, family, asked.window.since, asked.window.until, part=part))
    rows = history[history["label"] == asked.label]
    days = sorted(record.day for record in lake.records() if record.day is not None)
    if rows.empty and days:
        whole = Window.parse(days[0], days[-1] + timedelta(days=1))
        everything = family_runs(lake, family, whole.since, whole.until, part=part)
        rows = everything[everything["label"] == asked.label]
    return replace(asked, rows=rows)


def comparable(runs: RunColumns, before: Ints, after: Ints) -> tuple[Difference, bool]:
    """Change of points per run, the earlier runs brought to the later ones' kinds of hours.

    Every earlier run gets the weight its kind of hour (weekday or weekend, quarter of the day) has among the later runs:
    post-stratification (Holt & Smith, *JRSS A* 142, 1979).

    Returns:
        The difference, and whether the kinds of hours on both sides could be matched: a weekend cannot be compared where
        only weekdays went before.
    """
    before, after = before[runs.paid[before]], after[runs.paid[after]]
    plain = comparisons.difference(
        (runs.points[before], runs.weight[before]), (runs.points[after], runs.weight[after])
    )  # fmt: skip
    if len(before) < LEAST_ROWS or len(after) < LEAST_ROWS:
        return plain, True
    old, new = _kinds(runs, before, after)
    have = np.bincount(old, minlength=8) >= _SAME_KIND
    shares = np.bincount(new, weights=_known_weights(runs, after), minlength=8)
    if shares[have].sum() < 0.5 * shares.sum():
        return plain, False
    before, old = before[have[old]], old[have[old]]
    after = after[have[new]]
    held = np.bincount(old, weights=_known_weights(runs, before), minlength=8)
    factor = np.where(held > 0, shares / np.where(held > 0, held, 1.0), 0.0)[old]
    usable = factor > 0
    before, weight = before[usable], (runs.weight[before] * factor)[usable]
    least = float(np.nanmin(weight)) if len(weight) else math.nan
    if not least > 0:
        return plain, False
    # Only their proportions matter, but a weight below one is taken for none at all.
    return (
        comparisons.difference(
            (runs.points[before], weight / least), (runs.points[after], runs.weight[after])
        ),
        True,
    )  # fmt: skip


def _kinds(runs: RunColumns, before: Ints, after: Ints) -> tuple[Ints, Ints]:
    """Kinds of hours of both sides; quarters of the day only where both sides are long enough to hold several of each."""
    old, new = strata(runs.time[before]), strata(runs.time[after])
    for kind in np.unique(new):
        if (new == kind).sum() < _SAME_KIND or (old == kind).sum() < _SAME_KIND:
            # Too few of one quarter: the weekend or the weekdays as a whole.
            return old // 4 * 4, new // 4 * 4
    return old, new


def other_amounts(runs: RunColumns, before: Ints, after: Ints) -> Difference:
    """Change of points per run that comes from other amounts in the same cases, the shares of the cases as they are later.

    Oaxaca's effect (*Int. Econ. Rev.* 14, 1973): each later run less the earlier mean of its case; the means are uncertain too.
    Few runs tell it where one amount became another, however much the cases differ among themselves.
    """
    before, after = before[runs.paid[before]], after[runs.paid[after]]
    excess, variance = np.zeros(len(after)), 0.0
    old_cases, new_cases = runs.case[before], runs.case[after]
    points, weights = runs.points[after], runs.weight[after]
    whole = float(np.nansum(weights))
    for case in np.intersect1d(old_cases, new_cases).tolist():
        rows, here = before[old_cases == case], new_cases == case
        earlier = estimators.mean(runs.points[rows], runs.weight[rows], process=True)
        half = (earlier.high - earlier.low) / 2 / estimators.Z_95
        if not np.isfinite(half):
            continue
        excess[here] = points[here] - earlier.value
        variance += (float(np.nansum(weights[here])) / whole * half) ** 2
    first = estimators.mean(runs.points[before], runs.weight[before], process=True)
    found = estimators.mean(excess, weights, process=True)
    more = estimators.Z_95 * math.sqrt(variance)
    low = found.value - math.hypot(found.value - found.low, more)
    high = found.value + math.hypot(found.high - found.value, more)
    change = replace(found, low=low, high=high, logged_count=len(before) + len(after)).as_difference()
    is_significant = min(len(before), len(after)) >= LEAST_ROWS and (low > 0 or high < 0)
    is_negative = bool((runs.points[before] < 0).any() or (runs.points[after] < 0).any())
    relative = share_of(change, first, more * more, is_negative_possible=is_negative)
    return comparisons.difference_of(change, relative, is_significant=is_significant)


def same_hours(runs: RunColumns, start: int, stop: int, labels: Ints) -> Ints:
    """Rows at the same hours of the week in the weeks before, of the versions that are compared.

    Args:
        runs: All rows.
        start, stop: Microseconds since 1970: the time to match, less than a week.
        labels: Numbers of the versions.
    """
    found = []
    for week in range(4, 0, -1):
        span = runs.between(start - week * _WEEK, min(stop - week * _WEEK, start))
        found.append(span.start + np.flatnonzero(np.isin(runs.label[span], labels)))
    return np.concatenate(found)


def same_hours_of_days(runs: RunColumns, start: int, stop: int, labels: Ints) -> Ints:
    """Rows at the same hours of the days before, weekdays for weekdays and weekends for weekends, of the compared versions.

    Args:
        runs: All rows.
        start, stop: Microseconds since 1970: the time to match, less than a day.
        labels: Numbers of the versions.
    """
    kind = is_weekend(np.array([start], dtype=np.int64))[0]
    found = []
    for day in range(28, 0, -1):
        begin = start - day * _DAY
        if is_weekend(np.array([begin], dtype=np.int64))[0] == kind:
            span = runs.between(begin, min(stop - day * _DAY, start))
            found.append(span.start + np.flatnonzero(np.isin(runs.label[span], labels)))
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def weeks_apart(runs: RunColumns, rows: Ints) -> bool:
    """Whether the rows hold weekends of two weeks at least, so that a weekend can be told from a change."""
    time = runs.time[rows]
    weekend = time[is_weekend(time)]
    return len(np.unique((weekend // 86_400_000_000 + 3) // 7)) >= 2


def _known_weights(runs: RunColumns, rows: Ints) -> np.ndarray:
    return np.nan_to_num(runs.weight[rows], nan=0.0)


def _label(member: tuple[str, int], family: Family) -> str:
    """As ``family_runs`` labels it."""
    doubled = sum(version == member[1] for _, version in family.members) > 1
    return f"v{member[1]} ({member[0][:8]})" if doubled else f"v{member[1]}"


def _known(family: Family) -> str:
    return ", ".join(
        f"v{version}@{strategy[:8]}" if sum(v == version for _, v in family.members) > 1 else f"v{version}"
        for strategy, version in family.members
    )
