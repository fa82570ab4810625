"""Runaway rules: who hits the engine's limits, who is heading there, and what else costs more than it should. Data only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from analytics.estimates import comparisons, estimators, significance
from analytics.findings.failures.stops import (
    Burst,
    Stop,
    StopKind,
    burst_ends,
    bursts,
    is_gone,
    stop_count,
    stopped,
    users_of,
)
from analytics.findings.failures.timeout_causes import TimeoutCause, timeout_cause
from analytics.findings.rules.program_profiles import dead_rules, hot_rules
from analytics.findings.runaway.finding import (
    CloseToCap,
    DailyGrowth,
    Finding,
    FindingType,
    Fixed,
    LargeProgram,
    LimitHits,
    Observed,
    Recurrence,
    SandboxCanary,
    SlowVersion,
    StalledLoop,
    Status,
    Timeouts,
    UnknownCode,
    VersionGrowth,
    VersionMedian,
)
from analytics.findings.runaway.keys import FamilyKey, Key, key_of
from analytics.findings.runaway.previous_report import CurrentWindow, compare_with_previous, runs_without
from analytics.findings.runaway.ranking import (
    FleetGrowth,
    Group,
    RankingRow,
    fleet_growth,
    rank_versions,
    ranking_frame,
    versions_without_runs,
)
from analytics.findings.runaway.run_costs import RunCosts, run_costs
from analytics.findings.runaway.thresholds import STANDARD, Thresholds
from analytics.findings.runaway.trend import HISTORY, Trend, TrendState, by_day, daily_p99, trends
from analytics.findings.runaway.version_growth import (
    NOWHERE,
    Ahead,
    VersionNodes,
    chains,
    runs_below_cap,
    steps_to_cap,
)
from analytics.findings.timing.time_split import Verdict
from analytics.findings.timing.version_times import Times, VersionTime, time_split
from analytics.warehouse.warehouse import records
from analytics.window import Window, midnight

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.estimate import Estimate
    from analytics.findings.runaway.previous_report import Previous
    from analytics.warehouse.warehouse import Warehouse

__all__ = [
    "HISTORY", "Burst", "Evidence", "Finding", "Group", "Key", "RankingRow", "Stop", "Times", "Trend", "bursts", "by_day",
    "daily_p99", "dead_rules", "findings_list", "gather_evidence", "hot_rules", "key_of", "rank_versions", "ranking_frame",
    "stopped", "time_split", "trends", "versions_without_runs",
]  # fmt: skip

CHANCE = 0.01
"""Below this corrected probability a share of timeouts is not called chance."""
OFTEN = 0.01
"""A share of timeouts that is too many whoever else has them: the engine's own alert on failures."""
_LEAST_TIMEOUTS = 5
_ORDER = list(Status)
_STOPS = (StopKind.LIMIT, StopKind.CANARY, StopKind.UNKNOWN)
_UNDECIDED = (TrendState.GROWING, TrendState.CANNOT_TELL, TrendState.TOO_FEW_DAYS)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the findings rest on, asked of the lake once.

    Attributes:
        since, until: The window, UTC.
        thresholds: The engine's limits, and what is called close, soon and slow.
        ranking: The versions that ran in the window, the most urgent first.
        earlier: Those of the days before it, up to fourteen.
        costs: Nodes and milliseconds of the window's runs.
        counts: Nodes by day, window and history.
        growth: How programs and their runs grow from version to version.
        stops: Stopped runs of the window.
        stops_before: Those of the history before it.
        times: Where the time of each strategy goes, and which of them is slow.
        has_history: The lake holds runs from before the window.
    """

    since: datetime
    until: datetime
    thresholds: Thresholds
    ranking: tuple[RankingRow, ...]
    earlier: tuple[RankingRow, ...]
    costs: RunCosts
    counts: pd.DataFrame
    growth: FleetGrowth
    stops: list[Stop]
    stops_before: list[Stop]
    times: Times
    has_history: bool

    @property
    def history_since(self) -> datetime:
        """Begin of the history, or of the window where that is longer."""
        return min(self.since, self.until - HISTORY)

    def is_new(self, key: Key) -> bool:
        """Whether a version did not run in the history."""
        return self.has_history and all(row.key != key for row in self.earlier)


def gather_evidence(lake: Warehouse, since: datetime, until: datetime, thresholds: Thresholds = STANDARD) -> Evidence:
    """Ask the lake for everything a report on runaway rules needs."""
    counts = by_day(lake, until)
    costs = run_costs(lake, since, until)
    leads = fleet_growth(lake, until, thresholds, counts)
    start = until - HISTORY
    # A window as long as the history leaves nothing to compare with.
    past = run_costs(lake, min(start, since), since)
    ranking = rank_versions(lake, since, until, thresholds, counts=counts, costs=costs, past=past, ahead=leads)
    earlier = rank_versions(lake, min(start, since), since, thresholds, counts=counts, costs=past, ahead=leads)
    before = stopped(lake, start, since) if start < since else []
    return Evidence(
        since, until, thresholds, ranking, earlier, costs, counts, leads, stopped(lake, since, until), before,
        time_split(
            lake, ranking, earlier, min(start, since), until,
            extra_ms=thresholds.slow_extra_ms, times=thresholds.slow_times,
        ),
        len(earlier) > 0,
    )  # fmt: skip


def met_by_many(evidence: Evidence, least: int) -> Evidence:
    """The evidence without stops of a kind and version, or of a stall, that fewer users met."""
    return replace(
        evidence,
        stops=_met_by_many(evidence.stops, least),
        stops_before=_met_by_many(evidence.stops_before, least),
    )


def _met_by_many(stops: Sequence[Stop], least: int) -> list[Stop]:
    groups: dict[tuple[str, Key | int], list[Stop]] = {}
    for stop in stops:
        groups.setdefault((stop.kind, stop.key if stop.stall is None else stop.stall), []).append(stop)
    many = {group for group, alike in groups.items() if users_of(alike)[0] >= least}
    return [stop for stop in stops if (stop.kind, stop.key if stop.stall is None else stop.stall) in many]


def findings_list(lake: Warehouse, evidence: Evidence, previous: Previous | None = None) -> list[Finding]:
    """What a person should know, most urgent first: new, worse, other findings, fixed, waiting.

    Args:
        lake: Where the runs are.
        evidence: What ``gather_evidence`` brought.
        previous: The last report; without one, the lake's own days before the window say what is new and what is fixed.
    """
    observed: list[Observed] = [*_stopped_runs(lake, evidence), *_nearing(evidence), *_slow(evidence)]
    found: list[Finding]
    if previous is None:
        found = [*observed, *_fixed(lake, evidence)]
    else:
        now = CurrentWindow(
            evidence.since, evidence.until, {row.key: row.est_runs for row in evidence.ranking},
            partial(is_over, evidence), _left(evidence.stops),
        )  # fmt: skip
        found = compare_with_previous(observed, previous, now)
    # Python's sort is stable: within a status, limits before canaries before growth, each with the most runs first.
    return sorted(found, key=lambda finding: _ORDER.index(finding.status))


# ---- near a limit -----------------------------------------------------------------------------------------------------


def _nearing(evidence: Evidence) -> list[DailyGrowth | VersionGrowth | CloseToCap | LargeProgram]:
    """Who grows day by day, who from version to version, who is close without growing: at most one of them for a version.

    Beside it a version's program may be close to what the validator takes, which is another limit that no run meets.
    """
    limits, versions_of = evidence.thresholds, evidence.growth.versions
    known = chains(versions_of)
    passing = steps_to_cap(versions_of, lambda key: evidence.growth.entries_at(key, limits.node_cap))
    found: list[DailyGrowth | VersionGrowth | CloseToCap | LargeProgram] = []
    for row in evidence.ranking:
        key, trend = row.key, row.trend
        leads = evidence.growth.runs.get(key, NOWHERE)
        if row.group is Group.HEADING:
            found.append(
                DailyGrowth(
                    status=Status.WORSE, key=key, days_to_cap=trend.days_to_cap, slope=trend.slope, level=trend.level,
                    versions=_medians(versions_of.get(key.family, [])), next_passes=key in passing,
                )
            )  # fmt: skip
        elif key in passing or _is_soon(leads, limits):
            found.append(
                VersionGrowth(
                    status=Status.WORSE, key=key, versions=_medians(known[key]), median=known[key][-1].median,
                    node_cap=limits.node_cap, next_passes=key in passing, ahead=leads,
                )
            )  # fmt: skip
        elif row.group is Group.CLOSE:
            found.append(
                CloseToCap(
                    status=Status.OPEN, key=key, p99=row.nodes_p99, node_cap=limits.node_cap, trend=trend.state,
                    entries_max=trend.entries_max,
                )
            )  # fmt: skip
    return [*found, *_programs(evidence)]


def _medians(chain: Sequence[VersionNodes]) -> tuple[VersionMedian, ...]:
    return tuple(VersionMedian(one.key.version, one.median.value) for one in chain)


def _programs(evidence: Evidence) -> list[LargeProgram]:
    """Whose program the validator would soon refuse, or would have refused; of each family the live version alone."""
    limits, found = evidence.thresholds, []
    near = limits.close * limits.node_cap
    before = {row.key.family for row in evidence.earlier if row.program is not None and row.program.nodes >= near}
    for row in evidence.ranking:
        program = evidence.growth.programs.get(row.key)
        if program is None:
            continue
        is_close = program.nodes[-1][1] >= near
        if is_close or program.next_is_refused or _is_soon(program.ahead, limits):
            status = Status.WORSE if row.key.family in before else Status.NEW
            found.append(
                LargeProgram(
                    status=status if evidence.is_new(row.key) else Status.OPEN, growth=program, node_cap=limits.node_cap,
                    is_close=is_close, ok_count=row.counts.ok, nodes_max=row.nodes_max, limit_count=row.counts.limit,
                )
            )  # fmt: skip
    return sorted(found, key=lambda one: one.growth.room)


def _is_soon(leads: Ahead, limits: Thresholds) -> bool:
    """Whether versions meet a limit within the horizon, and nothing says that they may never."""
    return leads.versions.high < math.inf and leads.days.value <= limits.horizon_days


# ---- stopped runs -----------------------------------------------------------------------------------------------------


def _stopped_runs(
    lake: Warehouse, evidence: Evidence
) -> list[LimitHits | SandboxCanary | UnknownCode | StalledLoop | Timeouts]:
    grouped: dict[tuple[StopKind, Key], list[Burst]] = {}
    found: list[LimitHits | SandboxCanary | UnknownCode | StalledLoop | Timeouts] = []
    for burst in bursts(evidence.stops):
        if burst.key is None:
            found.append(
                StalledLoop(
                    status=Status.OPEN, since=burst.since, until=burst.until, count=burst.count, strategies=burst.strategies,
                    ends=burst_ends([burst], evidence.since, evidence.until),
                )
            )  # fmt: skip
        elif burst.kind != StopKind.TIMEOUT:
            grouped.setdefault((burst.kind, burst.key), []).append(burst)
    rows = {row.key: row for row in evidence.ranking}
    for (kind, key), group in sorted(
        grouped.items(), key=lambda item: (_STOPS.index(item[0][0]), -sum(burst.count for burst in item[1]))
    ):
        if kind == StopKind.LIMIT:
            found.append(_limit_hits(lake, evidence, key, group, rows.get(key)))
        else:
            found.append(_refused_runs(evidence, kind, key, group))
    cause_of = partial(_timeout_cause, lake, evidence)
    return [*found, *too_many_timeouts(evidence.stops, evidence.ranking, lambda key, own: cause_of(rows[key], own))]


def _recurrence(evidence: Evidence, kind: StopKind, key: Key, group: Sequence[Burst]) -> Recurrence:
    """Whether stopped runs of a version came before, and when they began and ended."""
    earlier = [stop for stop in evidence.stops_before if stop.kind == kind and stop.key.family == key.family]
    before = stop_count(stop for stop in earlier if stop.key == key)
    # What went on before the window did not begin in it, and a log that begins with it does not tell.
    reach = evidence.since if before or not evidence.has_history else evidence.history_since
    return Recurrence(before, stop_count(earlier) - before, burst_ends(group, reach, evidence.until))


def _limit_hits(
    lake: Warehouse, evidence: Evidence, key: Key, group: Sequence[Burst], row: RankingRow | None
) -> LimitHits:
    past, limits = _recurrence(evidence, StopKind.LIMIT, key, group), evidence.thresholds
    window = Window(evidence.since, evidence.until)
    below = runs_below_cap(
        lake, key, group, evidence.history_since, window, before=past.previous_count, node_cap=limits.node_cap
    )
    made = LimitHits(
        status=Status.OPEN, key=key, since=group[0].since, until=group[-1].until, count=sum(burst.count for burst in group),
        past=past, burst_count=len(group), below=below, size=row.size if row else None, limits=limits,
    )  # fmt: skip
    # What an older version was stopped by was another cap, where this one's runs pass at other times.
    is_new = not past.is_known or (made.may_be_lowered and not past.previous_count)
    return made.with_status(Status.NEW) if is_new and evidence.has_history else made


def _refused_runs(evidence: Evidence, kind: StopKind, key: Key, group: Sequence[Burst]) -> SandboxCanary | UnknownCode:
    past = _recurrence(evidence, kind, key, group)
    stops = [stop for stop in evidence.stops if stop.kind == kind and stop.key == key]
    users, user = users_of(stops)
    made = SandboxCanary if kind == StopKind.CANARY else UnknownCode
    return made(
        status=Status.NEW if evidence.has_history and not past.is_known else Status.OPEN, key=key, since=group[0].since,
        until=group[-1].until, count=stop_count(stops), past=past, users=users, user=user,
        codes=tuple(sorted({stop.error_code for stop in stops if stop.error_code})),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _TimeoutShare:
    """Timeouts of one version, beside its share of all runs.

    Attributes:
        key: Which version.
        stops: Its timeouts, stalls set aside.
        run_share_high: The upper end of its share of all runs.
        share: Of its runs that timed out.
        chance: One-sided p-value of "its runs time out no more often than others'".
    """

    key: Key
    stops: list[Stop]
    run_share_high: float
    share: Estimate
    chance: float


def too_many_timeouts(
    stops: Sequence[Stop], ranking: Sequence[RankingRow], cause_of: Callable[[Key, Sequence[Stop]], TimeoutCause]
) -> list[Timeouts]:
    """Versions that time out too often, stalls set aside.

    Too often is more than a version's share of the runs explains (binomial test, corrected), or surely more than one run in a
    hundred: where all are heavy, or only one strategy runs, nobody has more than a share.

    Args:
        stops: Stopped runs of the window.
        ranking: Of the window.
        cause_of: What timeouts of a version come from.
    """
    single = [stop for stop in stops if stop.kind == StopKind.TIMEOUT and not stop.stalled]
    shares, found = _timeout_shares(single, ranking), []
    for one, chance in zip(shares, comparisons.adjusted([one.chance for one in shares]), strict=True):
        count = stop_count(one.stops)
        if count >= _LEAST_TIMEOUTS and (chance < CHANCE or one.share.low > OFTEN):
            times = [stop.at for stop in one.stops if stop.at is not None]
            first, last = (times[0], times[-1]) if times else (None, None)
            found.append(
                Timeouts(
                    status=Status.OPEN, key=one.key, since=first, until=last, count=count, all_count=stop_count(single),
                    run_share_high=one.run_share_high, share=one.share, cause=cause_of(one.key, one.stops),
                )
            )  # fmt: skip
    return found


def _timeout_shares(single: Sequence[Stop], ranking: Sequence[RankingRow]) -> list[_TimeoutShare]:
    by_key: dict[Key, list[Stop]] = {}
    for stop in single:
        by_key.setdefault(stop.key, []).append(stop)
    all_count, all_runs = stop_count(single), sum(row.est_runs.value for row in ranking)
    found = []
    for row in ranking:
        if stops := by_key.get(row.key, []):
            # The upper end of its runs: what is left is not explained by runs the sampler happened to miss.
            part = min(row.est_runs.high / all_runs, 1.0) if all_runs else 1.0
            chance = significance.binomial_more(stop_count(stops), all_count, part)
            share = estimators.failure_rate(stop_count(stops), row.est_runs, process=True)
            found.append(_TimeoutShare(row.key, stops, part, share, chance))
    return found


def _timeout_cause(lake: Warehouse, evidence: Evidence, row: RankingRow, stops: Sequence[Stop]) -> TimeoutCause:
    """What a version's timeouts come from."""
    nodes = math.nan if row.nodes_max is None else float(row.nodes_max)
    return timeout_cause(lake, row.key.family, stops, evidence.stops, nodes_max=nodes, limits=evidence.thresholds)


def _left(stops: Iterable[Stop]) -> Counter[tuple[FindingType, FamilyKey]]:
    """Stopped runs of each kind and family, findings or not; those of a stalled event loop are nobody's own."""
    found: Counter[tuple[FindingType, FamilyKey]] = Counter()
    for stop in stops:
        if not stop.stalled:
            found[FindingType(stop.kind), stop.key.family] += stop.logged_count
    return found


# ---- slow -------------------------------------------------------------------------------------------------------------


def _slow(evidence: Evidence) -> list[SlowVersion]:
    return [
        SlowVersion(status=Status.NEW if _is_slow_anew(evidence, version) else Status.OPEN, time=version)
        for version in evidence.times.versions
        if version.is_slow
    ]


def _is_slow_anew(evidence: Evidence, version: VersionTime) -> bool:
    """Whether the version is new, or became slow within the window."""
    began = version.slow_since
    return evidence.is_new(version.key) or (
        began is not None and evidence.has_history and midnight(began) >= evidence.since
    )


# ---- over -------------------------------------------------------------------------------------------------------------


def is_over(evidence: Evidence, finding_type: FindingType, family: FamilyKey) -> bool:
    """Whether growth, closeness or slowness of a family, which is not found any more, can be said to be over."""
    if finding_type is FindingType.SLOW:
        versions = [version for version in evidence.times.versions if version.key.family == family]
        return bool(versions) and not any(_may_be_slow(version, evidence.thresholds) for version in versions)
    rows = [row for row in evidence.ranking if row.key.family == family]
    match finding_type:
        case FindingType.PROGRAM:
            return any(row.is_live for row in rows)
        case FindingType.CLOSE:
            return bool(rows) and all(row.nodes_p99.grade != "too few" for row in rows)
        case _:
            return bool(rows) and not any(row.trend.state in _UNDECIDED for row in rows)


def _may_be_slow(version: VersionTime, limits: Thresholds) -> bool:
    """Whether a version that is not called slow may be: its nodes take long, or there is nothing to compare its time with."""
    ms, explained = version.split.ms.value, version.split.explained.value
    is_far_above = ms > limits.slow_times * explained and ms - explained > limits.slow_extra_ms
    return version.split.verdict is not Verdict.FINE or not math.isfinite(ms) or is_far_above


def _fixed(lake: Warehouse, evidence: Evidence) -> list[Fixed]:
    """Limits hit in a window of the same length just before, and not in this one though enough runs went by."""
    start = evidence.since - (evidence.until - evidence.since)
    recent: dict[FamilyKey, list[Stop]] = {}
    for stop in evidence.stops_before:
        if stop.kind == StopKind.LIMIT and stop.at is not None and stop.at >= start:
            recent.setdefault(stop.key.family, []).append(stop)
    still = {stop.key.family for stop in evidence.stops if stop.kind == StopKind.LIMIT}
    if not set(recent) - still:
        return []
    runs_before: dict[FamilyKey, float] = {}
    for record in records(lake.run("cost_by_strategy", since=start, until=evidence.since)):
        family = key_of(record["realm_id"], record["strategy"], 0).family
        runs_before[family] = runs_before.get(family, 0.0) + float(record["est_runs"])
    now, found = {row.key: row.est_runs for row in evidence.ranking}, []
    for family, stops in recent.items():
        if family in still:
            continue
        last = stops[-1]
        runs, is_live = runs_without(now, last.key)
        if runs is not None and is_gone(stop_count(stops), runs_before.get(family, 0.0), runs.low):
            found.append(
                Fixed(
                    type=FindingType.LIMIT, key=last.key, since=None, until=last.at, previous_count=stop_count(stops),
                    runs_since=runs.low, is_live=is_live,
                )
            )  # fmt: skip
    return found
