"""What a post-mortem found: one kind of incident, its two sides, when, and how many points it is about."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np

from analytics.estimates import estimators
from analytics.estimates.comparisons import Difference, Relative
from analytics.estimates.estimate import GRADES, graded
from analytics.estimates.estimators import Estimate
from analytics.findings.failures.timeout_causes import TimeoutCause
from analytics.findings.post_mortem.change_points import Slope
from analytics.findings.post_mortem.groups import Side, run_estimate
from analytics.findings.post_mortem.node_changes import Activation
from analytics.findings.replay.paired import relative
from analytics.findings.replay.trials import VersionTrial
from analytics.findings.replay.version_pairs import AlikeInputs

Cause = Literal["program", "inputs", "built-in", "failures", "unknown", ""]


@dataclass(frozen=True, slots=True)
class Step:
    """One version of a series, beside the version that ran before the series began.

    Attributes:
        span: When it was live.
        trial: Against the version before the series.
        before_it: Against the version right before it; None for the first of the series, whose that is the same.
    """

    span: Activation
    trial: VersionTrial
    before_it: VersionTrial | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """The finding of a post-mortem.

    Attributes:
        kind: ``version`` (points changed with a version), ``failures`` (a code appeared or grew), ``data`` (points changed
            without a version), ``duration`` (ok runs became slower), ``window`` (points differ from a baseline that was asked
            for), ``against`` (two strategies side by side, no before and after), ``quiet`` (nothing significant), ``single``
            (nothing to compare with) or ``nothing`` (no rows).
        before, after: The two groups; ``None`` where there is none.
        points: Change of points per run.
        rollback: The activation that ended it by going back to an earlier version.
        successor: The activation that came when the version was gone, newer or older; ``None`` while it is live.
        code: For ``failures``: the error code that grew most.
        code_since: Its first failure of the episode, UTC; of the window where there is no episode, and ``since`` is ``None``.
        code_until: Its last, when the episode is over; ``None`` while it goes on.
        since: First run of the change, UTC.
        since_low, since_high: Between which times it began (95 %).
        until: Last run of the change, when it is over.
        border: The version whose first run coincides with the change; ``None`` when no version does.
        median, tail: For ``duration``: change of the median and of the 95th percentile of ok runs, ms.
        reason: Why it is ``quiet`` or ``single``, in words; empty when there is no more to say.
        baseline: What the reader asked to compare with; empty when the report chose.
        timeouts: Of failures that are timeouts: what they come from, as far as the log shows it.
        too_deep: Of runs that a cap stopped: how deep their program is nested, where that is deeper than the cap allows.
        also: Further findings, the most important first.
        cause: What moved it: the version's ``program``, the ``inputs`` (who plays, what clients send), the wrapped
            ``built-in``, ``failures``; ``unknown`` where that cannot be told; empty where nothing moved.
        total: Points beyond what would have been paid without it, over all of its runs; None where that is not known.
        trial: Of a version: its program beside the one before.
        steps: Of a series of versions that one page tells as one: each of them, the first too.
        again: Of a version that came more than once: its later times, which ``total`` holds too.
        slope: Of points that drift: how fast; None for a change at a moment.
        alike: Of a version whose program could not be tried: whether what came in moved, too.
        gone, new: Of such a version: cases that runs reached and that its program does not have any more, or has anew.
        is_one_program: Of ``data``: what moved are the points that one program pays for all runs, whichever version was live.
        level: Of these: label of the program, and its points per run before and after.
        only_of: Of ``failures`` that did not begin with a version: the one that was live already and alone fails so.
        wraps_built_in: Of ``data``: the program wraps a built-in, which may be changed without any version.
        innocent: Versions that began about then and are shown to pay the same.
        open_trials: Of what is quiet: versions of which it cannot be told whether they pay otherwise.
    """

    kind: str
    before: Side | None
    after: Side | None
    points: Difference | None
    rollback: Activation | None = None
    successor: Activation | None = None
    code: str | None = None
    code_since: datetime | None = None
    code_until: datetime | None = None
    since: datetime | None = None
    since_low: datetime | None = None
    since_high: datetime | None = None
    until: datetime | None = None
    border: Activation | None = None
    median: Difference | None = None
    tail: Difference | None = None
    reason: str = ""
    baseline: str = ""
    timeouts: TimeoutCause | None = None
    too_deep: int | None = None
    also: tuple[Incident, ...] = ()
    cause: Cause = ""
    total: Estimate | None = None
    trial: VersionTrial | None = None
    steps: tuple[Step, ...] = ()
    again: tuple[Step, ...] = ()
    slope: Slope | None = None
    alike: AlikeInputs | None = None
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    is_one_program: bool = False
    level: tuple[str, Estimate, Estimate] | None = None
    only_of: Activation | None = None
    wraps_built_in: bool = False
    innocent: tuple[VersionTrial, ...] = ()
    open_trials: tuple[VersionTrial, ...] = ()

    @property
    def is_over(self) -> bool:
        """It had ended at the end of the window."""
        return bool(self.rollback or self.until or self.code_until or (self.successor and not self.goes_on))

    @property
    def goes_on(self) -> bool:
        """A later version of the series, live at the end, still pays otherwise than the one before the series."""
        if not self.steps:
            return False
        last = max(self.steps, key=lambda step: step.span.last)
        return last.trial.verdict == "differs" and not self.rollback

    @property
    def relative(self) -> Relative | None:
        """What a version, or a series of them, pays beyond the earlier program for the same runs, as a share of what that pays."""
        if self.trial is None or self.trial.verdict != "differs":
            return None
        if not (self.steps or self.again):
            return self.trial.relative
        trials = [step.trial for step in self.steps] or [self.trial, *(step.trial for step in self.again)]
        tried = [trial.forward for trial in trials]
        rows = [of.rows[of.rows["decided"].to_numpy(bool)] for of in tried if of is not None]
        if not rows:
            return self.trial.relative
        columns = [
            np.concatenate([part[name].to_numpy(float) for part in rows]) for name in ("points", "would", "weight")
        ]
        return relative(*columns)


_ENOUGH = 100
"""Logged rows from which on a total of several groups is graded by its width."""


def weighed_by_points(found: Incident) -> Incident:
    """The points that a finding is about, where no replay has told them."""
    if found.total is not None or found.after is None:
        return found
    if found.kind == "failures":
        cause: Cause = found.cause or "failures"
        return replace(found, cause=cause, total=_lost(found))
    if found.kind in ("version", "data") and found.points is not None:
        return replace(found, total=_moved_in_all(found, found.after))
    return found


def rank_findings(found: Incident) -> float:
    """Smallest for the most points; slower runs move none and come last."""
    total = found.total
    if found.kind == "failures" and found.since is None:
        return math.inf  # what fails steadily is no news before what has changed
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
    assert found.after is not None  # noqa: S101  # asked before
    rows = found.after.rows
    count = int(((rows["status"] != "ok") & (rows["error_code"] == found.code)).sum())
    paid = found.before.values if found.before is not None else found.after.values
    usual = estimators.mean(*paid)
    if not math.isfinite(usual.value):
        return None
    return Estimate(-count * usual.value, -count * usual.high, -count * usual.low, count, usual.grade)


def sum_of(parts: Iterable[Estimate | None]) -> Estimate | None:
    """The total of groups that share no run: squares of the half-widths add up."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    value = math.fsum(part.value for part in known)
    low = math.hypot(*(part.value - part.low for part in known))
    high = math.hypot(*(part.high - part.value for part in known))
    rows = sum(part.logged_count for part in known)
    grade = graded((low + high) / 2, abs(value)) if rows >= _ENOUGH else GRADES[2]
    return Estimate(value, value - low, value + high, rows, grade).as_difference()
