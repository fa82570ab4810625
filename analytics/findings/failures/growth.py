"""Which error codes fail more runs than before, since when, whether that is over, and how a post-mortem tells of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons, estimators, significance
from analytics.estimates.estimators import Estimate
from analytics.findings.failures.scan import LEAST, Habit, Kinds, Stretch, are_alike, by_group, densest, habit, numbered
from analytics.findings.post_mortem.change_points import DAY
from analytics.findings.post_mortem.finding import FailuresFinding
from analytics.findings.post_mortem.groups import MICROSECOND, RunColumns, as_number, as_time, run_estimate
from analytics.findings.post_mortem.node_changes import Activation

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Bools, Ints

WORTH_A_WORD = 0.005
"""Share of runs a code must fail to be the verdict; people are paged at one in a hundred."""

_GROWTH = 1.3
"""Times the earlier rate: what is significant in a million runs may still be of no interest."""
_OF_WINDOW, _OF_BURST = 0.001, 0.003
"""Largest chance that of all codes of a quiet strategy one is told to fail more in the window, or in a stretch of it."""
_EXPECTED = 3.0
"""Failures that the time before must have been long enough for, to say that there were none (the rule of three)."""
_RHYTHM = 4
"""Days from which on a quarter of the day is compared with its own like."""
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Growth:
    """A code that fails more runs than before, or many where there is no before.

    Attributes:
        code: The error code.
        count: Its failures in the episode: all that there were.
        start: The episode's first failure, a row number; of what has none, the window's first row.
        low, high: Rows between which it began (95 %).
        stop: The row after its last failure when it is over; ``None`` while it goes on.
        p: Chance that nothing grew, corrected for the number of codes.
        is_dated: It begins within the rows; otherwise the window as a whole is what is told.
        is_steady: There is no time before to compare with, and no stretch of the window stands out.
    """

    code: str
    count: int
    start: int
    low: int
    high: int
    stop: int | None
    p: float
    is_dated: bool = True
    is_steady: bool = False


def growing_codes(
    runs: RunColumns, scope: slice, inside: slice, until: datetime, *, baseline: pd.DataFrame | None = None
) -> list[Growth]:
    """Codes that grew, the one with the most failures first; those that only fail steadily last.

    A code grew if it fails more of the window's runs than of those before (two Poisson rates), or in a burst: a stretch in
    which its failures are denser than any stretch would be by chance.

    Args:
        runs: All rows.
        scope: The rows before the window that it is compared with, and the window's.
        inside: The window's rows.
        until: End of the window.
        baseline: Rows to compare with in place of those before the window.
    """
    codes = np.unique(runs.code[inside])
    codes = codes[codes >= 0]
    if len(codes) == 0:
        return []
    earlier = runs.frame.iloc[scope.start : inside.start] if baseline is None else baseline
    sides = run_estimate(earlier), run_estimate(runs.frame.iloc[inside])
    asked = _Comparison(runs, scope, inside, until, sides, len(codes), baseline, Kinds.of(runs, scope))
    found = [_growth(asked, number) for number in codes.tolist()]
    return sorted((one for one in found if one), key=lambda growth: (growth.is_steady, -growth.count))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What every code of a window is compared by.

    Attributes:
        runs: All rows.
        scope: The rows before the window that it is compared with, and the window's.
        inside: The window's rows.
        until: End of the window.
        sides: Estimated runs before and in the window.
        code_count: Codes that are looked at, for each of which chance has a try.
        baseline: Rows to compare with in place of those before the window.
        kinds: Of the rows of the scope.
    """

    runs: RunColumns
    scope: slice
    inside: slice
    until: datetime
    sides: tuple[Estimate, Estimate]
    code_count: int
    baseline: pd.DataFrame | None
    kinds: Kinds

    def share(self, count: int) -> float:
        """Of the window's runs; NaN where there are none."""
        return count / self.sides[1].value if self.sides[1].value > 0 else math.nan


@dataclass(frozen=True, slots=True)
class _CodeRows:
    """The rows that say something of one code.

    Attributes:
        number: Of the code.
        rows: Its failures, ok runs, and as many of other codes' failures as would be logged had they been ok.
        is_failure: Which of them failed with it.
        needed: Of the first row of the window among them.
        before, count: Failures before and in the window.
        kinds: Rows that have one rate of failures each.
        habit: How the days vary beside.
    """

    number: int
    rows: Ints
    is_failure: Bools
    needed: int
    before: int
    count: int
    kinds: Ints
    habit: Habit

    @classmethod
    def of(cls, asked: _Comparison, number: int) -> _CodeRows | None:
        """None where it fails too few of the window's runs to be looked at."""
        runs, scope, baseline = asked.runs, asked.scope, asked.baseline
        is_own = runs.code[scope] == number
        rows = scope.start + np.flatnonzero(runs.ok[scope] | is_own | _as_if_ok(runs, scope, is_own))
        is_failure = runs.code[rows] == number
        needed = int(np.searchsorted(rows, asked.inside.start))
        code = runs.codes[number]
        before = int(is_failure[:needed].sum()) if baseline is None else int((baseline["error_code"] == code).sum())
        count = int(is_failure[needed:].sum())
        if count < LEAST and not asked.share(count) > WORTH_A_WORD:
            return None
        kinds, usual = _alike(asked.kinds, rows - scope.start, is_failure, needed)
        return cls(number, rows, is_failure, needed, before, count, kinds, usual)


def _growth(asked: _Comparison, number: int) -> Growth | None:
    """What is to be said of one code."""
    inside, sides, code = asked.inside, asked.sides, asked.runs.codes[number]
    of_code = _CodeRows.of(asked, number)
    if of_code is None:
        return None
    before, count, share = of_code.before, of_code.count, asked.share(of_code.count)
    stretch = densest(of_code.is_failure, of_code.kinds, of_code.needed, of_code.habit)
    p = _more_than_before(asked, of_code)
    grew = before == 0 or sides[0].value <= 0 or share > _GROWTH * before / sides[0].value
    of_window = p < _OF_WINDOW / asked.code_count and share > WORTH_A_WORD and grew
    if stretch is not None and _is_burst(asked, of_code, stretch) and (asked.baseline is None or of_window):
        return _episode(asked, of_code, stretch, min(p, stretch.p) * asked.code_count)
    whole = Growth(
        code, count, inside.start, inside.start, inside.stop - 1, None, min(p * asked.code_count, 1.0), is_dated=False
    )
    if of_window:
        return whole
    # So little went before that it could not have shown the rate of the window.
    expected = (before + count) / max(sides[1].value, 1.0) * sides[0].value
    rate = estimators.failure_rate(count, sides[1], process=True)
    if asked.baseline is None and expected < _EXPECTED and count >= LEAST and rate.low > WORTH_A_WORD:
        return replace(whole, is_steady=True)
    return None


def _is_burst(asked: _Comparison, of_code: _CodeRows, stretch: Stretch) -> bool:
    """Whether a stretch is denser than chance makes any, by enough, and of enough runs."""
    if not (stretch.p < _OF_BURST / asked.code_count and stretch.times > _GROWTH):
        return False
    return _is_much(asked, of_code.rows[stretch.start : stretch.stop], of_code.number)


def _as_if_ok(runs: RunColumns, scope: slice, is_own: Bools) -> Bools:
    """Of the failures of other codes, as many as would be logged had they been ok, evenly.

    They are runs that this code did not fail: left out, a version that fails in another way would seem to fail in this one, too;
    all of them, each as an ok row, would be too many by one over the sampling rate.
    """
    ok = runs.ok[scope]
    others = np.flatnonzero(~ok & ~is_own)
    kept = np.zeros(len(ok), dtype=bool)
    at = np.flatnonzero(ok & (runs.weight[scope] >= 1))
    if len(others) and len(at):
        near = np.clip(np.searchsorted(at, others), 0, len(at) - 1)
        grown = np.cumsum(1 / runs.weight[scope][at[near]])
        kept[others[np.diff(np.floor(grown), prepend=0.0) > 0]] = True
    return kept


def _episode(asked: _Comparison, of_code: _CodeRows, stretch: Stretch, p: float) -> Growth:
    """A stretch of the code's rows, in numbers of all rows."""
    runs, rows = asked.runs, of_code.rows
    hits = np.flatnonzero(of_code.is_failure)
    failures = rows[hits[(hits >= stretch.start) & (hits < stretch.stop)]]
    over = _is_over(runs.time[failures], asked.until, stretch.stop < len(rows))
    return Growth(
        runs.codes[of_code.number],
        len(failures),
        int(rows[stretch.start]),
        int(rows[stretch.low]),
        int(rows[stretch.high]),
        int(failures[-1]) + 1 if over else None,
        min(p, 1.0),
    )


def _is_much(asked: _Comparison, rows: Ints, number: int) -> bool:
    """Whether a stretch fails a share of a day's runs that is worth a word, or of its own where it is longer."""
    runs = asked.runs
    count = int((runs.code[rows] == number).sum())
    # An unknown weight is no reason to count no run.
    weight = float(np.nan_to_num(runs.weight[rows], nan=1.0).sum())
    days = max((as_number(asked.until) - int(runs.time[asked.inside.start])) / _DAY, 1.0)
    return count / max(weight, asked.sides[1].value / days) > WORTH_A_WORD


def _alike(held: Kinds, rows: Ints, is_failure: Bools, needed: int) -> tuple[Ints, Habit]:
    """Kinds of rows that have one rate of failures each, and how the days vary beside.

    Habits are those of the days before the window, in which no incident is looked for, where they are enough to tell.
    """
    kinds, day, quarter = numbered(held.rate[rows]), held.day[rows], held.quarter[rows]
    here = slice(0, needed if _days(day[:needed]) >= _RHYTHM else len(rows))
    parts = is_failure[here], numbered(kinds[here])
    if _days(day) > _RHYTHM and not are_alike(*by_group(*parts, quarter[here])):
        kinds = numbered(kinds * 4 + quarter)
        parts = is_failure[here], numbered(kinds[here])
    return kinds, habit(*by_group(*parts, day[here]))


def _days(day: Ints) -> int:
    """How many there are."""
    return int(np.count_nonzero(np.bincount(day))) if len(day) else 0


def _more_than_before(asked: _Comparison, of_code: _CodeRows) -> float:
    """Chance that the window's rate is that of the time before, also at the same kinds of hours."""
    sides, counts, needed, own = asked.sides, (of_code.before, of_code.count), of_code.needed, of_code.habit
    is_failure, kinds, days = of_code.is_failure, of_code.kinds, asked.kinds.day[of_code.rows - asked.scope.start]
    if sides[0].value < 1 or sides[1].value < 1:
        return 1.0
    ratio = counts[1] / sides[1].value / (counts[0] / sides[0].value) if counts[0] else math.inf
    apart = float(_days(days[:needed])), float(_days(days[needed:]))
    p = own.of_change(comparisons.rate_change_p(counts, sides), ratio, apart)
    rows, failed = np.bincount(kinds).astype(float), np.bincount(kinds, weights=is_failure)
    here = np.bincount(kinds[needed:], minlength=len(rows))
    shared = (here > 0) & (here < rows)
    if here[shared].sum() < 0.5 * here.sum():
        return p
    # Mantel & Haenszel, *J. Natl. Cancer Inst.* 22, 1959: what the kinds of rows have in all, shared out by chance.
    rows, failed, part = rows[shared], failed[shared], here[shared] / rows[shared]
    spread = float((failed * (rows - failed) / np.maximum(rows - 1, 1) * part * (1 - part)).sum())
    beyond = float(is_failure[needed:][shared[kinds[needed:]]].sum() - (failed * part).sum())
    if spread <= 0:
        return 1.0
    return max(p, own.of_change(2 * significance.normal_tail((beyond - 0.5) / math.sqrt(spread)), ratio, apart))


def _is_over(times: Ints, until: datetime, ends: bool) -> bool:
    """No failure for much longer than their usual gap."""
    if len(times) < 3:
        return False
    gap = int(times[-1] - times[0]) / (len(times) - 1) * MICROSECOND
    return bool(ends or (as_number(until) - int(times[-1])) * MICROSECOND > max(20 * gap, timedelta(hours=1)))


def failing(
    runs: RunColumns, scope: slice, inside: slice, growth: Growth, border: Callable[[int, int], Activation | None]
) -> FailuresFinding:
    """What grew, as an incident.

    Args:
        runs: All rows.
        scope: The rows before the window that it is compared with, and the window's.
        inside: The window's rows.
        growth: The code.
        border: The version that came between two times.
    """
    if not growth.is_dated:
        return _of_window(runs, scope, inside, growth)
    since = int(runs.time[growth.start])
    stop = growth.stop if growth.stop is not None else inside.stop
    # Runs before the first failure of the episode; without it, not in the same microsecond.
    first = runs.between(since - 7 * DAY, since)
    before = runs.group("before", runs.where(first)) if first.stop > first.start else None
    # An episode that is over ends with its last failure: runs after it are none of its runs.
    after = runs.group("since then", np.arange(growth.start, stop))
    until = as_time(runs.time[stop - 1]) if growth.stop is not None else None
    low, high = int(runs.time[growth.low]), int(runs.time[growth.high])
    return FailuresFinding(
        before=before,
        after=after,
        points=comparisons.difference(before.values, after.values) if before else None,
        code=growth.code,
        code_since=as_time(since),
        code_until=until,
        since=as_time(since),
        since_low=as_time(low),
        since_high=as_time(high),
        until=until,
        border=border(low, high),
    )


def _of_window(runs: RunColumns, scope: slice, inside: slice, growth: Growth) -> FailuresFinding:
    """The finding of a code that fails many of the window's runs, at no moment more than at others."""
    before = None
    if not growth.is_steady and inside.start > scope.start:
        before = runs.group("before", np.arange(scope.start, inside.start))
    after = runs.group("this window", np.arange(inside.start, inside.stop))
    points = comparisons.difference(before.values, after.values) if before else None
    first = inside.start + int(np.argmax(runs.code[inside] == runs.codes.index(growth.code)))
    return FailuresFinding(
        before=before, after=after, points=points, code=growth.code, code_since=as_time(runs.time[first])
    )
