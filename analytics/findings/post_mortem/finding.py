"""What a post-mortem found: one kind of incident, its two sides, when, how many points it is about, and its known causes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analytics.estimates import estimators
from analytics.estimates.comparisons import Difference, Relative
from analytics.estimates.estimate import GRADES, graded
from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import stopped
from analytics.findings.failures.timeout_causes import TimeoutCause, timeout_cause
from analytics.findings.post_mortem.change_points import Slope
from analytics.findings.post_mortem.groups import Group, run_estimate
from analytics.findings.post_mortem.node_changes import Activation
from analytics.findings.post_mortem.version_changes import AlikeInputs
from analytics.findings.replay.paired import relative
from analytics.findings.replay.trials import TrialVerdict, VersionTrial
from analytics.findings.runaway.keys import key_of
from analytics.findings.runaway.program_sizes import program_sizes
from analytics.findings.runaway.thresholds import STANDARD
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    from analytics.findings.post_mortem.family import Family
    from analytics.warehouse.warehouse import Warehouse


class Kind(StrEnum):
    """What is found, as ``summary.json`` spells it; of each there is one class below."""

    VERSION = "version"
    FAILURES = "failures"
    DATA = "data"
    DURATION = "duration"
    WINDOW = "window"
    AGAINST = "against"
    QUIET = "quiet"
    SINGLE = "single"
    NOTHING = "nothing"


class Cause(StrEnum):
    """What moved it, as ``summary.json`` spells it."""

    PROGRAM = "program"
    INPUTS = "inputs"
    BUILT_IN = "built-in"
    FAILURES = "failures"
    UNKNOWN = "unknown"
    NONE = ""


class Why(StrEnum):
    """Why nothing is made of a window."""

    FEW_DAYS = "few days"
    """A weekend or a night cannot be told from a change."""
    SINGLE_RUNS = "single runs"
    """Some moved, and not surely the mean of all."""
    SAME_HOURS = "same hours"
    """Beside those of before nothing moved."""
    NO_MOMENT = "no moment"
    """At none does it move by more than chance."""
    HARDLY = "hardly"
    """The change is hardly beyond chance."""
    TOO_FEW = "too few"
    """Runs are logged."""
    NO_BASELINE = "no baseline"
    """It has no logged run."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why nothing is made of a window, and what its sentence needs.

    Attributes:
        why: Which reason it is.
        logged_days: Of ``FEW_DAYS``: how many days of runs are logged.
    """

    why: Why
    logged_days: int = 0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What a report reads of every finding, whatever its kind.

    Attributes:
        kind: Which of the classes below it is, for summaries.
        before, after: The two groups; ``None`` where there is none.
        points: Change of points per run.
        since: First run of the change, UTC.
        since_low, since_high: Between which times it began (95 %).
        until: Last run of the change, when it is over.
        border: The version whose first run coincides with the change; ``None`` when no version does.
        cause: What moved it; ``unknown`` where that cannot be told, empty where nothing moved.
        total: Points beyond what would have been paid without it, over all of its runs; None where that is not known.
        trial: The later version's program beside the one before; None where there are no two, or none was tried.
        baseline: What the reader asked to compare with; empty when the report chose.
        also: Further findings, the most important first.
    """

    kind: ClassVar[Kind]
    before: Group | None = None
    after: Group | None = None
    points: Difference | None = None
    since: datetime | None = None
    since_low: datetime | None = None
    since_high: datetime | None = None
    until: datetime | None = None
    border: Activation | None = None
    cause: Cause = Cause.NONE
    total: Estimate | None = None
    trial: VersionTrial | None = None
    baseline: str = ""
    also: tuple[Incident, ...] = ()

    @property
    def is_over(self) -> bool:
        """It had ended at the end of the window."""
        return self.until is not None

    @property
    def goes_on(self) -> bool:
        """It began with one version and goes on with a later one that is live at the end."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFinding(_Finding):
    """Points changed with a version.

    Attributes:
        rollback: The activation that ended it by going back to an earlier version.
        successor: The activation that came when the version was gone, newer or older; ``None`` while it is live.
        steps: Of a series of versions that one page tells as one: each of them, the first too.
        again: Of a version that came more than once: its later times, which ``total`` holds too.
        alike: Of a version whose program could not be tried: whether what came in moved, too.
        gone, new: Of such a version: cases that runs reached and that its program does not have any more, or has anew.
    """

    kind: ClassVar[Kind] = Kind.VERSION
    before: Group
    after: Group
    points: Difference
    rollback: Activation | None = None
    successor: Activation | None = None
    steps: tuple[Step, ...] = ()
    again: tuple[Step, ...] = ()
    alike: AlikeInputs | None = None
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """It had ended at the end of the window: rolled back, or followed by a version that is no part of the series."""
        return bool(self.rollback or self.until or (self.successor and not self.goes_on))

    @property
    def goes_on(self) -> bool:
        """A later version of the series, live at the end, still pays otherwise than the one before the series."""
        if not self.steps:
            return False
        last = max(self.steps, key=lambda step: step.span.last)
        return last.trial.verdict is TrialVerdict.DIFFERS and not self.rollback

    @property
    def relative(self) -> Relative | None:
        """What it, or a series, pays beyond the earlier program for the same runs, as a share of what that pays."""
        if self.trial is None or self.trial.verdict is not TrialVerdict.DIFFERS:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FailuresFinding(_Finding):
    """An error code appeared or grew.

    Attributes:
        code: The error code.
        code_since: Its first failure of the episode, UTC; of the window where there is no episode, and ``since`` is ``None``.
        code_until: Its last, when the episode is over; ``None`` while it goes on.
        timeouts: Of failures that are timeouts: what they come from, as far as the log shows it.
        too_deep: Of runs that a cap stopped: how deep their program is nested, where that is deeper than the cap allows.
        only_of: Of failures that did not begin with a version: the one that was live already and alone fails so.
    """

    kind: ClassVar[Kind] = Kind.FAILURES
    after: Group
    code: str
    code_since: datetime | None = None
    code_until: datetime | None = None
    timeouts: TimeoutCause | None = None
    too_deep: int | None = None
    only_of: Activation | None = None

    @property
    def is_over(self) -> bool:
        """Its last failure was before the end of the window."""
        return bool(self.until or self.code_until)

    @property
    def is_of_window(self) -> bool:
        """Whether the window as a whole fails more, and no moment in it stands out."""
        return self.since is None

    @property
    def is_steady(self) -> bool:
        """Whether it fails as it always has, as far as the log goes: nobody knows since when."""
        return self.since is None and self.before is None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFinding(_Finding):
    """Points changed without a version.

    Attributes:
        slope: Of points that drift: how fast; None for a change at a moment.
        is_one_program: What moved are the points that one program pays for all runs, whichever version was live.
        level: Of these: label of the program, and its points per run before and after.
        wraps_built_in: The program wraps a built-in, which may be changed without any version.
        innocent: Versions that began about then and are shown to pay the same.
    """

    kind: ClassVar[Kind] = Kind.DATA
    before: Group
    after: Group
    points: Difference
    slope: Slope | None = None
    is_one_program: bool = False
    level: tuple[str, Estimate, Estimate] | None = None
    wraps_built_in: bool = False
    innocent: tuple[VersionTrial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationFinding(_Finding):
    """Ok runs became slower.

    Attributes:
        median, tail: Change of the median and of the 95th percentile of ok runs, ms.
    """

    kind: ClassVar[Kind] = Kind.DURATION
    before: Group
    after: Group
    points: Difference
    median: Difference
    tail: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFinding(_Finding):
    """Points differ from a baseline that was asked for, by more than one version or by none."""

    kind: ClassVar[Kind] = Kind.WINDOW
    before: Group
    after: Group
    points: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonFinding(_Finding):
    """Two strategies side by side, no before and after.

    Attributes:
        alike: Whether what came in differs between them; None where that is not known.
    """

    kind: ClassVar[Kind] = Kind.AGAINST
    before: Group
    after: Group
    points: Difference
    alike: AlikeInputs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFinding(_Finding):
    """Nothing significant between two groups.

    Attributes:
        reason: Why nothing is made of it; None when there is no more to say.
        innocent: Versions that began in the window and are shown to pay the same.
        open_trials: Versions of which it cannot be told whether they pay otherwise.
    """

    kind: ClassVar[Kind] = Kind.QUIET
    before: Group
    after: Group
    points: Difference
    reason: Reason | None = None
    innocent: tuple[VersionTrial, ...] = ()
    open_trials: tuple[VersionTrial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OneGroup(_Finding):
    """There is nothing to compare the window with; attributes as of ``NoFinding``."""

    kind: ClassVar[Kind] = Kind.SINGLE
    after: Group
    reason: Reason | None = None
    innocent: tuple[VersionTrial, ...] = ()
    open_trials: tuple[VersionTrial, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRuns(_Finding):
    """No run is logged in the window."""

    kind: ClassVar[Kind] = Kind.NOTHING


Incident = (
    VersionFinding | FailuresFinding | DataFinding | DurationFinding | BaselineFinding
    | ComparisonFinding | NoFinding | OneGroup | NoRuns
)  # fmt: skip
"""The finding of a post-mortem: what stands out, with what else was found in ``also``."""


_ENOUGH = 100
"""Logged rows from which on a total of several groups is graded by its width."""


def with_total(finding: Incident) -> Incident:
    """The points that a finding is about, where no replay has told them."""
    match finding:
        case FailuresFinding(total=None):
            return replace(finding, cause=finding.cause or Cause.FAILURES, total=_lost(finding))
        case VersionFinding(total=None) | DataFinding(total=None):
            return replace(finding, total=_moved_in_all(finding.points, finding.after))
        case _:
            return finding


def rank_findings(finding: Incident) -> float:
    """Smallest for the most points; slower runs move none and come last."""
    if isinstance(finding, FailuresFinding) and finding.since is None:
        return math.inf  # what fails steadily is no news before what has changed
    total = finding.total
    if total is None or not math.isfinite(total.value):
        return 0.0 if isinstance(finding, DurationFinding) else -1e-9
    return -abs(total.value)


def _moved_in_all(points: Difference, after: Group) -> Estimate | None:
    """Change per run times the runs: what the finding is worth, roughly, where only groups are compared."""
    change, runs = points.change, run_estimate(after.paid)
    if not math.isfinite(change.low) or not after.paid_count:
        return None
    value = change.value * runs.value
    low, high = (
        math.hypot((change.value - end) * runs.value, change.value * (runs.high - runs.low) / 2)
        for end in (change.low, change.high)
    )
    return Estimate(value, value - low, value + high, change.logged_count, change.grade).as_difference()


def _lost(finding: FailuresFinding) -> Estimate | None:
    """What the failed runs would have been paid, had they been like those before."""
    rows = finding.after.rows
    count = int(((rows["status"] != "ok") & (rows["error_code"] == finding.code)).sum())
    paid = finding.before.values if finding.before is not None else finding.after.values
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


TIMEOUT, LIMIT = "DSL_TIMEOUT", "DSL_LIMIT_EXCEEDED"


def with_causes(finding: Incident, lake: Warehouse, family: Family, since: datetime, until: datetime) -> Incident:
    """The incident, and those told beside it, with what the lake holds of their causes.

    Args:
        finding: Of one strategy.
        lake: All that is in sight: who else timed out then, and the programs.
        family: The strategy.
        since, until: The window that was asked for.
    """
    also = tuple(_with_cause(other, lake, family, since, until) for other in finding.also)
    return replace(_with_cause(finding, lake, family, since, until), also=also)


def _with_cause(finding: Incident, lake: Warehouse, family: Family, since: datetime, until: datetime) -> Incident:
    if not isinstance(finding, FailuresFinding):
        return finding
    rows = finding.after.rows
    if finding.code == TIMEOUT:
        first, last = finding.after.since, finding.after.until
        # Those of the whole window, so that a report on runaway rules marks the same stalls.
        stops = stopped(lake, min(since, first), max(until, last))
        own = [
            stop
            for stop in stops
            if stop.kind == "timeout"
            and stop.key.realm == family.realm
            and stop.key.strategy in (family.name, *family.strategy_ids)
            and stop.at is not None
            and first <= stop.at <= last
        ]
        name = own[0].key.family if own else (family.realm, family.name)
        versions = {stop.key.version for stop in own}
        longest = [
            float(row["nodes_max"])
            for row in records(lake.run("cost_by_strategy", since=since, until=until))
            if row["nodes_max"] is not None
            and not math.isnan(row["nodes_max"])
            and (key := key_of(row["realm_id"], row["strategy"], row["strategy_version"])).family == name
            and key.version in versions
        ]
        return replace(
            finding, timeouts=timeout_cause(lake, name, own, stops, nodes_max=max(longest, default=math.nan))
        )
    if finding.code == LIMIT:
        failed = rows[(rows["status"] != "ok") & (rows["error_code"] == LIMIT)]
        limited = np.unique(failed["strategy_version"].to_numpy(int)).tolist()
        sizes = program_sizes(lake)
        own_sizes = [
            sizes.get(key_of(family.realm, name, version))
            for version in limited
            for name in (family.name, *family.strategy_ids)
        ]
        depths = [size.depth for size in own_sizes if size is not None and size.depth is not None]
        return replace(finding, too_deep=max(depths) if depths and max(depths) > STANDARD.depth_cap else None)
    return finding
