"""Everything that happened to a strategy in a window, each with what caused it, in the order of the points it moved.

A version is blamed or acquitted by trying the program before it on what its runs read, not by comparing two groups of runs. What
is left are points under one and the same program: what moves there came with the inputs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import Estimate
from analytics.findings.activations import Activation
from analytics.findings.finding import Cause, Incident, Step
from analytics.findings.one_program import OneProgram, one_program
from analytics.findings.pairs import Pairs
from analytics.findings.search import Search
from analytics.findings.sides import Runs, Side, as_number, run_estimate
from analytics.findings.slopes import Slope, slope
from analytics.findings.trials import VersionTrial
from analytics.findings.version_changes import VersionChange, rollback

if TYPE_CHECKING:
    from datetime import datetime

_MOST_TRIALS = 12
"""Versions of a window that are tried, the latest ones."""


class Causes:
    """The findings of a window, with programs.

    Args:
        runs: The family's logged runs to ``until``.
        since, until: The window in question.
        pairs: Tries versions on each other.
    """

    def __init__(self, runs: Runs, since: datetime, until: datetime, pairs: Pairs) -> None:
        self.runs, self.since, self.until, self.pairs = runs, since, until, pairs
        self.search = Search(runs, since, until)

    # ---- evidence --------------------------------------------------------------------------------------------------

    @cached_property
    def trials(self) -> list[tuple[VersionChange, VersionTrial]]:
        """Every version that ran in the window and began in it or in the week before, on trial; oldest first."""
        live = [change for change in self.search.changes if change.span.last >= self.since]
        found = []
        for change in live[-_MOST_TRIALS:]:
            before = self.runs.side(change.earlier.label, change.before)
            found.append((change, self.pairs.trial(before, self.runs.side(change.label, change.after))))
        return found

    @cached_property
    def level(self) -> OneProgram | None:
        """All runs as one program pays them; None where no program tells that, or there is one only."""
        order = [change.earlier.label for change, _ in self.trials]
        order += [change.label for change, _ in reversed(self.trials)]
        return one_program(self.runs, self.search.scope, self.pairs, order)

    # ---- stories ---------------------------------------------------------------------------------------------------

    def findings(self) -> list[Incident]:
        """All of them: what began in the window before what began earlier, and of these the most points first."""
        versions = self._versions()
        failing = self.search.failures()
        found = [*versions, *failing]
        data = self._data(versions, failing)
        found += [data] if data is not None else []
        slower = self.search.slower(self.search.changes)
        found += [slower] if slower is not None else []
        found = [self._weighed(item) for item in found]
        recent = [item for item in found if item.since is None or item.since >= self.since or item.goes_on]
        earlier = [item for item in found if item not in recent]
        return [*sorted(recent, key=_rank), *sorted(earlier, key=_rank)]

    def quiet(self) -> Incident:
        """Nothing stands out: the window against the time before, and which versions stay undecided."""
        self.search.version([change for change, _ in self.trials if change.span.first >= self.since])
        found = self.search.quiet()
        trials = [trial for _, trial in self.trials]
        return replace(
            found,
            innocent=tuple(trial for trial in trials if trial.verdict == "same"),
            open_trials=tuple(trial for trial in trials if trial.verdict == "cannot tell"),
        )

    def _versions(self) -> list[Incident]:
        """The versions that pay otherwise; those of one series as one."""
        told: list[Incident] = []
        taken: set[Activation] = set()
        for change, trial in self.trials:
            if change.span in taken:
                continue
            found = self._version(change, trial)
            if found is None:
                continue
            series = self._series(found, change, trial)
            taken |= {step.span for step in series.steps}
            told.append(series)
        return told

    def _version(self, change: VersionChange, trial: VersionTrial) -> Incident | None:
        if trial.verdict == "same":
            return None
        if trial.verdict == "differs":
            found = self.search.with_version(change)
            cause: Cause = "program"
        else:
            known = self.search.version([change])
            if known is None:
                return None
            found, cause = known, "program" if change.is_amount else "unknown"
        return replace(found, trial=trial, cause=cause, total=trial.difference)

    def _series(self, found: Incident, change: VersionChange, trial: VersionTrial) -> Incident:
        """The versions that came after it, while the version before the series has not come back."""
        if trial.verdict != "differs" or trial.basis != "its runs" or found.before is None:
            return found
        steps = [Step(change.span, trial)]
        back: Activation | None = None
        for later in self.search.spans:
            if later.first <= change.span.first or later.label == change.label or later.first >= self.until:
                continue
            if later.label == change.earlier.label:
                if later.first >= change.span.last or later.last > change.span.last:
                    back = later
                    break
                continue
            rows = self.runs.where(
                self.runs.between(later.first, as_number(min(later.last, self.until)) + 1), later.label
            )
            own = self.pairs.trial(found.before, self.runs.side(later.label, rows))
            if own.verdict == "cannot tell":
                break
            before_it = next((of for other, of in self.trials if other.span == later), None)
            steps.append(Step(later, own, before_it))
        if len(steps) < 2:
            return found
        total = _sum([step.trial.difference for step in steps])
        ended = found.rollback if found.rollback is not None else back
        if ended is None:
            ended = rollback(self.search.spans, steps[-1].span, change.earlier.label)
            ended = ended if ended is not None and ended.label == change.earlier.label else None
        return replace(found, steps=tuple(steps), total=total, rollback=ended)

    def _data(self, versions: list[Incident], failing: list[Incident]) -> Incident | None:
        """Points that moved without a version, as far as that can be told apart."""
        level = self.level
        search = self.search if level is None else Search(self.runs, self.since, self.until, level=level.runs)
        if level is None and len({change.label for change, _ in self.trials}) and not self._is_apart(search, versions):
            return None
        found = search.data()
        if found is None:
            self.search.undecided = self.search.undecided or search.undecided
            return None
        if any(self._is_same_moment(other, found) for other in failing if other.border is not None):
            # The failing runs are missing among those that are paid: the rest is no sample of who plays.
            return None
        if level is None and found.border is not None:
            blamed = self._at_border(found)
            if blamed is not None:
                return None if any(item.border == blamed.border for item in versions) else blamed
        innocent = tuple(
            trial
            for change, trial in self.trials
            if trial.verdict == "same" and search.moved is not None and search.coincide(change.span.first, search.moved)
        )
        if innocent:
            found = replace(found, border=None)
        return replace(found, cause="inputs", innocent=innocent, slope=self._slope(search))

    def _is_apart(self, search: Search, versions: list[Incident]) -> bool:
        """Without one program to look through: the change is there within single versions, or no version is suspected."""
        return search.is_within or not versions

    def _at_border(self, found: Incident) -> Incident | None:
        """The version that came when points moved, unless it is acquitted."""
        for change, trial in self.trials:
            if change.span == found.border and trial.verdict != "same":
                cause: Cause = "program" if trial.verdict == "differs" or change.is_amount else "unknown"
                version = self.search.with_version(change)
                return replace(version, trial=trial, cause=cause, total=trial.difference)
        return None

    def _is_same_moment(self, one: Incident, other: Incident) -> bool:
        if one.since_low is None or one.since_high is None or other.since_low is None or other.since_high is None:
            return False
        return one.since_low <= other.since_high and other.since_low <= one.since_high

    def _slope(self, search: Search) -> Slope | None:
        rows = np.arange(search.scope.start, search.scope.stop)
        return slope(search.level, rows)

    def _weighed(self, found: Incident) -> Incident:
        """The points that a finding is about, where no replay has told them."""
        if found.total is not None or found.after is None:
            return found
        if found.kind == "failures":
            cause: Cause = found.cause or "failures"
            return replace(found, cause=cause, total=_lost(found))
        if found.kind in ("version", "data") and found.points is not None:
            return replace(found, total=_moved_in_all(found, found.after))
        return found


def _rank(found: Incident) -> float:
    """Smallest for the most points; slower runs move none and come last."""
    total = found.total
    if total is None or not math.isfinite(total.value):
        return 0.0 if found.kind == "duration" else -1e-9
    return -abs(total.value)


def _moved_in_all(found: Incident, after: Side) -> Estimate | None:
    """Change per run times the runs: what the finding is worth, roughly, where only groups are compared."""
    assert found.points is not None  # noqa: S101  # asked before
    change, runs = found.points.change, run_estimate(after.paid)
    if not math.isfinite(change.low) or not len(after.paid):
        return None
    value = change.value * runs.value
    low, high = (
        math.hypot((change.value - end) * runs.value, change.value * (runs.high - runs.low) / 2)
        for end in (change.low, change.high)
    )
    return Estimate(value, value - low, value + high, change.logged_count, change.grade).as_difference()


def _lost(found: Incident) -> Estimate | None:
    """What the failed runs would have been paid, had they been like those before."""
    from analytics import estimates

    assert found.after is not None  # noqa: S101  # asked before
    rows = found.after.rows
    count = int(((rows["status"] != "ok") & (rows["error_code"] == found.code)).sum())
    paid = found.before.values if found.before is not None else found.after.values
    usual = estimates.mean(*paid)
    if not math.isfinite(usual.value):
        return None
    return Estimate(-count * usual.value, -count * usual.high, -count * usual.low, count, usual.grade)


def _sum(parts: list[Estimate | None]) -> Estimate | None:
    """The total of groups that share no run: squares of the half-widths add up."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    value = math.fsum(part.value for part in known)
    low = math.hypot(*(part.value - part.low for part in known))
    high = math.hypot(*(part.high - part.value for part in known))
    worst = max((part.grade for part in known), key=("good", "rough", "too few").index)
    return Estimate(value, value - low, value + high, sum(part.logged_count for part in known), worst).as_difference()
