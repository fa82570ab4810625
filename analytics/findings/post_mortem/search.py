"""The search for what stands out in a window: each kind of finding, with its evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons
from analytics.findings.failures.growth import Growth, failing, growing_codes
from analytics.findings.post_mortem import change_points
from analytics.findings.post_mortem.baseline import LOOK_BACK, comparable, same_hours, same_hours_of_days, weeks_apart
from analytics.findings.post_mortem.change_points import (
    DAY,
    LEAST_ROWS,
    ChangePoint,
    Measure,
    plausible_start,
    typical_and_slow,
)
from analytics.findings.post_mortem.finding import (
    DataFinding,
    DurationFinding,
    FailuresFinding,
    Incident,
    NoFinding,
    OneGroup,
    Reason,
    VersionFinding,
    Why,
)
from analytics.findings.post_mortem.groups import (
    Group,
    RunColumns,
    as_number,
    as_time,
    ranks,
    ranks_within,
    two_groups_p,
)
from analytics.findings.post_mortem.node_changes import Activation, activations, is_gone
from analytics.findings.post_mortem.version_changes import (
    VersionChange,
    change_of_points,
    rollback,
    strength,
    successor,
    version_changes,
)

if TYPE_CHECKING:
    from analytics.estimates.arrays import Ints

_CHANCE = 0.002
"""Largest chance of a change at a moment nobody named, per measure; versions are known moments."""
_SLOWER = ((0.25, 5.0), (0.5, 20.0))
"""Share and milliseconds by which the median, or the tail, must grow to be worth a word: people are paged at 250 ms."""
_LEAST_SLOW = 2 * LEAST_ROWS
"""Logged runs that slowness must last for."""
_POINTS = 0.05
"""Share by which points per run must move without a version."""
_OTHERWISE = 0.01
"""Chance below which the same hours of other days are held to have been otherwise: of a stretch that was chosen by looking."""
_COINCIDES = 10 * 60 * 1_000_000
"""Microseconds between a version's first run and a change's plausible range that still count as the same time."""

_SHORTLY = timedelta(days=5)
"""How long before the window a change may have begun that still shapes it: the days before that are what it changed from."""


class IncidentSearch:
    """One search for an incident.

    Args:
        runs: The family's logged runs to ``until``.
        since, until: The window in question.
        level: The same rows with the points that one program pays for all of them: what moves there is no version's doing. The
            runs themselves when ``None``.
    """

    def __init__(self, runs: RunColumns, since: datetime, until: datetime, *, level: RunColumns | None = None) -> None:
        self.runs, self.since, self.until = runs, since, until
        self.level = runs if level is None else level
        self.inside = runs.between(since, until)
        self.scope = runs.between(since - LOOK_BACK, until)
        self.region = runs.between(since - 2 * LOOK_BACK, until)
        self.points = change_points.of_points(self.level, self.region)
        self.undecided: Reason | None = None
        self.best: VersionChange | None = None

    @cached_property
    def spans(self) -> list[Activation]:
        """When which version was live."""
        return activations(self.runs.frame.iloc[self.region])

    @cached_property
    def changes(self) -> list[VersionChange]:
        """Every version first seen in the window or in the week before it, beside the one that went before it."""
        return version_changes(self.runs, self.spans, self.points, self.since - LOOK_BACK, self.until)

    @cached_property
    def moved(self) -> ChangePoint | None:
        """Where points per run move most, whatever the reason."""
        return self._moment(self.points, _CHANCE)

    @cached_property
    def is_within(self) -> bool:
        """They move there within single versions too: a change that does not is the versions' own."""
        moved = self.moved
        return moved is not None and change_points.holds_within(self.points, self.scope, moved, self.level.label)

    # ---- findings --------------------------------------------------------------------------------------------------

    def findings(self) -> list[Incident]:
        """All of them, the most important first."""
        version = self.version([v for v in self.changes if v.span.first >= self.since])
        earlier = self.version([v for v in self.changes if v.span.first < self.since])
        known = version or earlier
        data = self.data() if self.is_within or not known else None
        at_border = [v for v in self.changes if data is not None and v.span == data.border and v.points.is_significant]
        if at_border and not known:
            # It moved at a moment nobody named, and a version came at that moment.
            version, data = self.with_version(at_border[0]), None
        # What fails steadily is told, but no news before what has changed.
        failing = self.failures()
        grown, steady = [f for f in failing if f.since], [f for f in failing if not f.since]
        found: list[Incident | None] = [version, *grown, data, self.slower(self.changes), earlier, *steady]
        return [item for item in found if item is not None]

    def failures(self) -> list[FailuresFinding]:
        """Codes that fail more runs than before, the one with the most failures first."""
        return [self.failing(growth) for growth in growing_codes(self.runs, self.scope, self.inside, self.until)]

    def version(self, changes: list[VersionChange]) -> VersionFinding | None:
        """The version that moved points most, unless a change at another moment explains it."""
        moved = self.moved if self.is_within else None
        changes = sorted(changes, key=lambda change: -strength(change.points))
        if changes and self.best is None:
            self.best = changes[0]
        for change in changes:
            if not change.is_matched and not change.is_amount and change.points.is_significant:
                self.undecided = _few_days(self.runs, self.scope)
            if not change.points.is_significant and change.p < _CHANCE / 10:
                self.undecided = Reason(Why.SINGLE_RUNS)
            if not change.is_beyond_chance:
                continue
            held = change
            if moved is not None and not self.coincide(change.span.first, moved):
                kept = change.without(self.runs, self.points, moved)
                if kept is None:
                    continue
                held = kept
            return self.with_version(held)
        return None

    def with_version(self, change: VersionChange) -> VersionFinding:
        """The finding of a version."""
        before = self.runs.group(change.earlier.label, change.before)
        back = rollback(self.spans, change.span, change.earlier.label)
        came = successor(self.spans, change.span)
        return VersionFinding(
            before=before,
            after=self.runs.group(change.label, change.after),
            points=change.points,
            rollback=back if back or came else self._back_after(change),
            successor=came,
            since=change.span.first,
            since_low=before.until,
            since_high=change.span.first,
            border=change.span,
        )

    def _back_after(self, change: VersionChange) -> Activation | None:
        """The earlier version again, where the later one is gone but was seen too seldom to part the earlier one's time in two."""
        runs, span, labels = self.runs, change.span, self.runs.labels
        first, last = (int(np.searchsorted(runs.time, as_number(when))) for when in (span.first, span.last))
        later = np.arange(last + 1, self.scope.stop)
        if change.earlier.label not in labels or not is_gone(span.logged_count, last + 1 - first, len(later)):
            return None
        own = later[runs.label[later] == labels.index(change.earlier.label)]
        if not len(own):
            return None
        times = [as_time(runs.time[row]) for row in (own[0], own[-1])]
        return replace(change.earlier, first=times[0], last=times[1], logged_count=len(own))

    def data(self) -> DataFinding | None:
        """Points per run that moved at a moment nobody named."""
        moved, runs = self.moved, self.level
        if moved is None:
            return None
        start, stop = int(runs.time[moved.start]), int(runs.time[moved.stop - 1])
        before = runs.where(runs.between(start - 7 * DAY, start))
        after = np.arange(moved.start, moved.stop)
        change, matched, is_amount = change_of_points(runs, before, after)
        if not matched:
            self.undecided = _few_days(runs, self.scope)
        if matched and not change.is_significant:
            self.undecided = Reason(Why.SINGLE_RUNS)
        is_large = abs(change.relative) >= _POINTS or not np.isfinite(change.relative)
        beyond = (matched or is_amount) and change.is_significant and is_large
        if not (beyond and self._unlike_other_weeks(after, start, stop)):
            return None
        low, high = plausible_start(runs.time, moved)
        return DataFinding(
            before=self.runs.group("before", before),
            after=self.runs.group("since then", after),
            points=change,
            since=as_time(start),
            since_low=as_time(low),
            since_high=as_time(high),
            until=as_time(stop) if moved.stop < self.scope.stop else None,
            border=self._border(low, high),
        )

    def _unlike_other_weeks(self, after: Ints, start: int, stop: int) -> bool:
        """Whether the same hours of earlier weeks were otherwise, where the log shows them."""
        runs = self.level
        if stop - start >= 7 * DAY:
            return True
        after = after[runs.paid[after]]
        labels = np.unique(runs.label[after])
        # A night is like the nights before it: days tell that sooner than weeks do.
        earlier = same_hours_of_days(runs, start, stop, labels) if stop - start < DAY else np.empty(0, dtype=np.int64)
        if len(earlier) < LEAST_ROWS:
            earlier = same_hours(runs, start, stop, labels)
        earlier = earlier[runs.paid[earlier]]
        if len(earlier) < LEAST_ROWS:
            return True
        both = np.concatenate([earlier, after])
        is_after = np.arange(len(both)) >= len(earlier)
        one_kind = np.zeros(len(both), dtype=np.int64)
        ways = (ranks(runs.points[both]), ranks_within(runs.points[both], runs.case[both]))
        return any(two_groups_p(way, is_after, one_kind, runs.time[both] // DAY)[1] < _OTHERWISE for way in ways)

    def failing(self, growth: Growth) -> FailuresFinding:
        """The finding of a code that grew."""
        return failing(self.runs, self.scope, self.inside, growth, self._border)

    def slower(self, versions: list[VersionChange]) -> DurationFinding | None:
        """Ok runs that became slower, with a version or at a moment without one."""
        measure = change_points.of_duration(self.runs, self.region)
        moved = self._moment(measure, _CHANCE / 2)
        found: list[tuple[float, DurationFinding]] = []
        for change in versions:
            z, p = change_points.moved_p(measure, change.before, change.after)
            if z <= 0 or p * len(versions) >= _CHANCE:
                continue
            if moved is not None and not self.coincide(change.span.first, moved):
                continue  # it changed at another moment
            left = self.runs.group(change.earlier.label, change.before)
            slow = self.slow(left, self.runs.group(change.label, change.after))
            if slow is not None:
                first = change.span.first
                dated = replace(slow, since=first, since_low=left.until, since_high=first, border=change.span)
                found.append((z, dated))
        if found:
            return max(found, key=lambda item: item[0])[1]
        if moved is None:
            return None
        start = int(self.runs.time[moved.start])
        before = self.runs.where(self.runs.between(start - 7 * DAY, start))
        if not len(before):
            return None
        low, high = plausible_start(self.runs.time, moved)
        slow = self.slow(
            self.runs.group("before", before),
            self.runs.group("since then", np.arange(moved.start, moved.stop)),
        )
        if slow is None:
            return None
        return replace(
            slow,
            since=as_time(start),
            since_low=as_time(low),
            since_high=as_time(high),
            until=as_time(self.runs.time[moved.stop - 1]) if moved.stop < self.scope.stop else None,
            border=self._border(low, high),
        )

    def slow(self, before: Group, after: Group) -> DurationFinding | None:
        """The finding without its moment, if the median or the tail grew by enough to be worth a word."""
        pairs = [typical_and_slow(before.rows), typical_and_slow(after.rows)]
        median, tail = (comparisons.between(pairs[0][i], pairs[1][i]) for i in (0, 1))
        grew = [
            change.is_significant and change.relative >= share and change.change.value >= least
            for change, (share, least) in zip((median, tail), _SLOWER, strict=True)
        ]
        if not any(grew) or len(after.rows) < _LEAST_SLOW:
            return None
        points = comparisons.difference(before.values, after.values)
        return DurationFinding(before=before, after=after, points=points, median=median, tail=tail)

    # ---- without a finding -----------------------------------------------------------------------------------------

    def quiet(self) -> NoFinding | OneGroup:
        """The window against the time before it, and why nothing is made of it."""
        runs, best = self.runs, self.best
        if best is not None and best.span.first >= self.since:
            before, after = runs.group(best.earlier.label, best.before), runs.group(best.label, best.after)
            reason = self.undecided or (Reason(Why.NO_MOMENT) if best.points.is_significant else None)
            return NoFinding(before=before, after=after, points=best.points, reason=reason)
        inside = np.arange(self.inside.start, self.inside.stop)
        earlier = np.arange(self.scope.start, self.inside.start)
        if runs.paid[earlier].sum() < 2:
            return OneGroup(after=runs.group("this window", inside))
        points, is_matched = comparable(runs, earlier, inside)
        left, right = runs.group("before", earlier), runs.group("this window", inside)
        plain = comparisons.difference(left.values, right.values)
        reason = self.undecided
        if not reason and plain.is_significant and not (is_matched and points.is_significant):
            reason = Reason(Why.SAME_HOURS) if is_matched else _few_days(runs, self.scope)
        elif not reason and points.is_significant:
            reason = Reason(Why.NO_MOMENT)
        return NoFinding(before=left, after=right, points=points if is_matched else plain, reason=reason)

    # ---- places ----------------------------------------------------------------------------------------------------

    def _moment(self, measure: Measure, alpha: float) -> ChangePoint | None:
        """Where the measure moves beyond its rhythm, in the window or shortly before it."""
        earliest = self.runs.between(self.since - _SHORTLY, self.until).start
        found = change_points.change_moment(measure, self.scope, earliest, self.inside.start, alpha=alpha)
        if (
            found is None
            and measure is self.points
            and not weeks_apart(self.runs, np.arange(self.scope.start, self.scope.stop))
        ):
            plain = change_points.change_moment(
                measure, self.scope, earliest, self.inside.start, alpha=alpha, rhythm=False
            )
            if plain is not None:
                self.undecided = _few_days(self.runs, self.scope)
        return found

    def coincide(self, time: datetime, moved: ChangePoint) -> bool:
        """Whether something happened where a change may have begun."""
        low, high = plausible_start(self.runs.time, moved)
        return low - _COINCIDES <= as_number(time) <= high + _COINCIDES

    def _border(self, low: int, high: int) -> Activation | None:
        """The version that came between two times, if one did."""
        spans = [
            span
            for span in self.spans[1:]
            if low - _COINCIDES <= as_number(span.first) <= high + _COINCIDES
        ]  # fmt: skip
        return max(spans, key=lambda span: span.logged_count, default=None)


def _few_days(runs: RunColumns, scope: slice) -> Reason:
    """That no earlier hours of the same kind are logged, and how many days of runs are."""
    days = round((int(runs.time[scope.stop - 1]) - int(runs.time[scope.start])) / DAY)
    return Reason(Why.FEW_DAYS, max(days, 1))
