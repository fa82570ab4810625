"""Findings on runaway rules as plain data: one class for each type, with what a sentence about it needs. No words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from analytics.estimates.estimate import Estimate
from analytics.window import midnight

if TYPE_CHECKING:
    from datetime import datetime

    from analytics.findings.failures.stops import Ends
    from analytics.findings.failures.timeout_causes import TimeoutCause
    from analytics.findings.runaway.keys import Key
    from analytics.findings.runaway.program_sizes import ProgramGrowth
    from analytics.findings.runaway.thresholds import Thresholds
    from analytics.findings.runaway.trend import TrendState
    from analytics.findings.runaway.version_growth import Ahead, RunsBelowCap
    from analytics.findings.timing.version_times import VersionTime
    from analytics.program import Size


class Status(StrEnum):
    """What became of a finding since the last report, or since the days before the window; the most urgent first."""

    NEW = "new"
    WORSE = "worse"
    OPEN = "finding"
    """Known, or without history to compare."""
    FIXED = "fixed"
    WAITING = "waiting"
    """Not seen any more, and too little was logged since to call it fixed."""


class FindingType(StrEnum):
    """What a finding is about."""

    LIMIT = "limit"
    CANARY = "canary"
    UNKNOWN = "unknown"
    GROWING = "growing"
    VERSIONS = "versions"
    CLOSE = "close"
    PROGRAM = "program"
    STALL = "stall"
    SLOW = "slow"
    TIMEOUT = "timeout"

    @property
    def counts_runs(self) -> bool:
        """Such findings count logged runs: they are gone when enough runs went by without one."""
        return self in (FindingType.LIMIT, FindingType.CANARY, FindingType.UNKNOWN, FindingType.TIMEOUT)

    @property
    def is_event(self) -> bool:
        """Such findings happen once and are over: another one is another one."""
        return self is FindingType.STALL


class Unit(StrEnum):
    """What the number of a finding is a number of."""

    RUNS = "runs"
    DAYS = "days"
    NODES = "nodes"
    TIME = "of time"


class VersionMedian(NamedTuple):
    """The median of nodes of one version of a family."""

    version: int
    nodes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Observed:
    """What is seen in the window.

    Attributes:
        status: What became of it.
    """

    status: Status

    def with_status(self, status: Status) -> Self:
        """The same, called something else."""
        return replace(self, status=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoppedRuns(_Observed):
    """Logged runs of one version that did not finish as they should.

    Attributes:
        key: Which version.
        since, until: The first and the last of them, UTC; None where no row has a usable time.
        count: How many.
    """

    unit: ClassVar[Unit] = Unit.RUNS
    key: Key
    since: datetime | None
    until: datetime | None
    count: int

    @property
    def number(self) -> int:
        """The figure that says how much."""
        return self.count


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Whether runs that stopped came before the window, and when what stopped them began and ended.

    Attributes:
        previous_count: Such runs of the version in the history before the window.
        other_versions_count: The same of other versions of its family.
        ends: Between which moments it began and ended; None where that was not asked.
    """

    previous_count: int = 0
    other_versions_count: int = 0
    ends: Ends | None = None

    @property
    def is_known(self) -> bool:
        """The family had such runs before."""
        return self.previous_count + self.other_versions_count > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitHits(_StoppedRuns):
    """A version ran into the cap of nodes or depth.

    Attributes:
        past: Whether it came before.
        burst_count: In how many bursts.
        below: The runs that passed, during the bursts and at other times.
        size: What no run of its program exceeds; None where no definition is readable.
        limits: What the caps are said to be.
    """

    type: ClassVar[FindingType] = FindingType.LIMIT
    past: Recurrence
    burst_count: int
    below: RunsBelowCap
    size: Size | None
    limits: Thresholds

    @property
    def visits_max(self) -> int | None:
        """Nodes that a run of its program visits at most."""
        return self.size.visits_max if self.size else None

    @property
    def depth(self) -> int | None:
        """How deep its program is nested."""
        return self.size.depth if self.size else None

    @property
    def is_too_deep(self) -> bool:
        """Its program is nested deeper than the cap: it is stopped at any cap of nodes."""
        return self.depth is not None and self.depth > self.limits.depth_cap

    @property
    def may_be_lowered(self) -> bool:
        """A lower cap than is said would explain it. Of what is too deep, those who pass say nothing of it."""
        otherwise = self.below.otherwise
        is_above = otherwise is not None and otherwise < self.limits.node_cap
        return self.below.fits_lowered and is_above and not self.is_too_deep

    @property
    def fits_the_caps(self) -> bool:
        """No run of its program can meet a cap as they are said to be."""
        visits, depth = self.visits_max, self.depth
        if visits is None or depth is None:
            return False
        return visits <= self.limits.node_cap and depth <= self.limits.depth_cap


@dataclass(frozen=True, slots=True, kw_only=True)
class _RefusedRuns(_StoppedRuns):
    """Runs that failed with a code that no validated program gives.

    Attributes:
        past: Whether it came before.
        users: How many met it; 0 when none is logged.
        user: Who, when it was one; verbatim, personal data.
        codes: As logged, sorted.
    """

    past: Recurrence
    users: int
    user: str | None
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCanary(_RefusedRuns):
    """The sandbox refused what no validated program holds."""

    type: ClassVar[FindingType] = FindingType.CANARY


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownCode(_RefusedRuns):
    """Runs failed with a code of the engine that is not known here."""

    type: ClassVar[FindingType] = FindingType.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts(_StoppedRuns):
    """A version times out too often, stalls set aside.

    Attributes:
        all_count: Timeouts of all versions, those of stalls set aside.
        run_share_high: The upper end of its share of all runs.
        share: Of its runs that timed out.
        cause: What they come from.
    """

    type: ClassVar[FindingType] = FindingType.TIMEOUT
    all_count: int
    run_share_high: float
    share: Estimate
    cause: TimeoutCause


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledLoop(_Observed):
    """Many strategies timed out together: likely the event loop stood still.

    Attributes:
        since, until: The first and the last of the timeouts, UTC.
        count: Timeouts.
        strategies: Families that timed out.
        ends: Between which moments it began and ended.
    """

    type: ClassVar[FindingType] = FindingType.STALL
    unit: ClassVar[Unit] = Unit.RUNS
    key: ClassVar[None] = None
    since: datetime
    until: datetime
    count: int
    strategies: int
    ends: Ends | None

    @property
    def number(self) -> int:
        """The figure that says how much."""
        return self.count

    @property
    def seconds(self) -> int:
        """How long it lasted, one at least."""
        return max(round((self.until - self.since).total_seconds()), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing(_Observed):
    """What holds of a version in the whole window, and counts no runs."""

    since: ClassVar[None] = None
    until: ClassVar[None] = None
    count: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyGrowth(_Standing):
    """A version's nodes grow day by day and meet the cap soon.

    Attributes:
        key: Which version.
        days_to_cap: Days until then, from the last day of the trend.
        slope: Nodes per day of its p99.
        level: Its p99 on the last day.
        versions: Those of its family, in the order in which the log first shows them.
        next_passes: One more version that differs from it as it does from the one before would pass the cap.
    """

    type: ClassVar[FindingType] = FindingType.GROWING
    unit: ClassVar[Unit] = Unit.DAYS
    key: Key
    days_to_cap: Estimate
    slope: Estimate
    level: Estimate
    versions: tuple[VersionMedian, ...]
    next_passes: bool

    @property
    def number(self) -> Estimate:
        """The figure that says how much."""
        return self.days_to_cap


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionGrowth(_Standing):
    """A family grows from version to version, and will pass the cap soon.

    Attributes:
        key: Its newest version.
        versions: The growing versions, the newest last.
        median: Of nodes of the newest.
        node_cap: The engine's.
        next_passes: One more step like the last passes the cap.
        ahead: Versions and days until one does, at steps like those so far.
    """

    type: ClassVar[FindingType] = FindingType.VERSIONS
    unit: ClassVar[Unit] = Unit.NODES
    key: Key
    versions: tuple[VersionMedian, ...]
    median: Estimate
    node_cap: float
    next_passes: bool
    ahead: Ahead

    @property
    def number(self) -> Estimate:
        """The figure that says how much."""
        return self.median


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseToCap(_Standing):
    """A version's p99 leaves little room below the cap, though no growth can be seen.

    Attributes:
        key: Which version.
        p99: Of nodes.
        node_cap: The engine's.
        trend: How its nodes move.
        entries_max: Of a bounded version, the most nodes a run can have.
    """

    type: ClassVar[FindingType] = FindingType.CLOSE
    unit: ClassVar[Unit] = Unit.NODES
    key: Key
    p99: Estimate
    node_cap: float
    trend: TrendState
    entries_max: int | None

    @property
    def number(self) -> Estimate:
        """The figure that says how much."""
        return self.p99


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeProgram(_Standing):
    """A program has little room below what the validator takes, none, or grows towards it: another matter than its runs.

    Attributes:
        growth: The program of the version that is live, and how it grew.
        node_cap: The engine's cap of nodes, which is also what the validator takes.
        is_close: It is close to that, and does not only grow towards it.
        ok_count: Logged ok runs of the version.
        nodes_max: The most nodes of one of them; None without one.
        limit_count: Runs of it that a cap stopped.
    """

    type: ClassVar[FindingType] = FindingType.PROGRAM
    unit: ClassVar[Unit] = Unit.NODES
    growth: ProgramGrowth
    node_cap: float
    is_close: bool
    ok_count: int
    nodes_max: float | None
    limit_count: int

    @property
    def key(self) -> Key:
        """Which version."""
        return self.growth.key

    @property
    def number(self) -> Estimate:
        """What the validator counts: of a definition, so it is known."""
        count = float(self.growth.nodes[-1][1])
        return Estimate(count, count, count, 0, "good")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowVersion(_Observed):
    """A version is slower than its nodes explain, or its nodes made it much slower than the version before.

    Attributes:
        time: Where its time goes.
    """

    type: ClassVar[FindingType] = FindingType.SLOW
    unit: ClassVar[Unit] = Unit.TIME
    until: ClassVar[None] = None
    count: ClassVar[None] = None
    time: VersionTime

    @property
    def key(self) -> Key:
        """Which version."""
        return self.time.key

    @property
    def since(self) -> datetime | None:
        """The first slow day, where one can be seen."""
        return midnight(self.time.slow_since) if self.time.slow_since else None

    @property
    def number(self) -> float:
        """Its share of the time of all."""
        return self.time.time_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What was there before and is not any more.

    Attributes:
        type: What it was.
        key: Of which version.
        since: Start of the window in which it did not come; None where the lake's own history is what was before.
        until: When it was last seen, UTC.
        previous_count: Logged runs of it before; None where it counted none.
        runs_since: Runs that went by without it, at least.
        is_live: They are runs of that version; otherwise others of its family, and none of it is logged.
    """

    status: ClassVar[Status] = Status.FIXED
    unit: ClassVar[Unit] = Unit.RUNS
    count: ClassVar[int] = 0
    number: ClassVar[int] = 0
    type: FindingType
    key: Key
    since: datetime | None
    until: datetime | None
    previous_count: int | None
    runs_since: float = 0.0
    is_live: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What the last report had and this window does not show, though too little was logged to call it fixed.

    Attributes:
        type: What it was.
        key: Of which version.
        last_seen: When, UTC.
        count: Logged runs of it before; None where it counted none.
        number, unit: The last report's figure, NaN where it is not known, and the word that it had for the unit.
        runs_before: Runs of the family among which they were counted; None when not known.
        runs_since: Runs of the family that went by without it.
        left: Runs of its kind that the window does have, too few to be a finding.
    """

    status: ClassVar[Status] = Status.WAITING
    since: ClassVar[None] = None
    type: FindingType
    key: Key
    last_seen: datetime
    count: int | None
    number: Estimate | float
    unit: str
    runs_before: Estimate | None
    runs_since: float
    left: int

    @property
    def until(self) -> datetime:
        """When it was last seen."""
        return self.last_seen


Observed = (
    LimitHits
    | SandboxCanary
    | UnknownCode
    | DailyGrowth
    | VersionGrowth
    | CloseToCap
    | LargeProgram
    | StalledLoop
    | SlowVersion
    | Timeouts
)
"""What is seen in the window."""
Over = Fixed | Waiting
"""What is not seen in the window, so that nothing of it is known there."""
Finding = Observed | Over
"""One thing that a person should know. Who tells of it names every class, so that a new one without words does not pass mypy."""
