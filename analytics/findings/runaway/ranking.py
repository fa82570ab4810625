"""The ranking: what each strategy needs of the engine, how far it is from the limits, and where it is heading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from analytics.estimates import estimators
from analytics.estimates.estimators import NOTHING, Estimate, upper_bound_of_none
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE
from analytics.findings.runaway.keys import FamilyKey, Key, key_of, keyed, text_or_none
from analytics.findings.runaway.program_sizes import (
    ProgramGrowth,
    StoredProgram,
    fitting,
    program_growth,
    stored_programs,
)
from analytics.findings.runaway.run_costs import LoggedRuns, RunCosts, VersionCosts, fleet_costs, run_costs
from analytics.findings.runaway.thresholds import STANDARD, Thresholds
from analytics.findings.runaway.trend import NO_TREND, Trend, TrendState, by_day, trends
from analytics.findings.runaway.version_growth import (
    NOWHERE,
    Ahead,
    VersionNodes,
    chains,
    version_nodes,
    versions_to_cap,
)
from analytics.warehouse.coverage import coverage
from analytics.warehouse.warehouse import records
from analytics.window import Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from analytics.estimates.arrays import Floats
    from analytics.program import PublishedSize, Size
    from analytics.warehouse.warehouse import Warehouse


class Group(StrEnum):
    """How near a version is to a limit, the most urgent first: its program as the validator counts it, the others by runs."""

    HIT = "hit a limit"
    HEADING = "heading for the cap"
    CLOSE = "close to the cap"
    PROGRAM_CLOSE = "program close to the cap"
    NOT_GROWING = "not growing"

    @property
    def is_urgent(self) -> bool:
        """Something of it is near a limit."""
        return self is not Group.NOT_GROWING


_URGENCY = list(Group)


@dataclass(frozen=True, slots=True)
class LoggedCounts:
    """Logged runs of a version by how they ended.

    Attributes:
        logged: All of them.
        ok: Came to their end.
        failed: All others; the next four are among them.
        timeout: Stopped by the time limit.
        limit: Stopped by the cap of nodes or depth.
        canary: Refused by the sandbox, for what no validated program holds.
        unknown_code: Failed with a code of the engine that is not known here.
        cut: Of the ok runs, those whose trace was cut at the storage limit.
    """

    logged: int
    ok: int
    failed: int
    timeout: int
    limit: int
    canary: int
    unknown_code: int
    cut: int


@dataclass(frozen=True, slots=True)
class RankingRow:
    """What one version needs of the engine, and how far it is from its limits.

    Attributes:
        key: Which version.
        group: How near it is.
        family_name: None where no definition gives the id a name.
        strategy_id: Of the definition.
        counts: Of the log.
        est_runs: Runs in all.
        est_time_share: Of the fleet's time, a plain share of one.
        nodes_p50, nodes_p99: Of nodes per run, in trace entries; runs that the cap stopped are beyond.
        ms_p50, ms_p99: Of milliseconds per run.
        limit_share: Of runs that a cap stopped.
        headroom: Part of the cap, in trace entries of such runs, that p99 leaves, 0 when runs were stopped.
        time_headroom: The same of time. Both NaN where p99 lies among runs that were stopped before they came to that limit.
        trend: How its nodes move from day to day.
        costs: What it takes.
        size: What no run of its program exceeds; None where no definition is readable, or it is not the program that ran.
        program: Its program as the validator counts it when it is saved; None where no definition is readable.
        program_headroom: Part of the cap that the program leaves, 0 above it; NaN where it is not known.
        is_live: It is the version of its family that ran last.
        runs_ahead: Versions and days until runs pass the cap, where runs grow by versions; `NOWHERE` otherwise.
        program_ahead: The same until a program is refused.
        est_nodes: Nodes of all its ok runs.
        est_stored_entries: Trace entries that were kept of them.
        nodes_max: Most nodes of a logged ok run; None without one.
        first_logged_at, last_logged_at: Its first and last logged run, UTC.
    """

    key: Key
    group: Group
    family_name: str | None
    strategy_id: str
    counts: LoggedCounts
    est_runs: Estimate
    est_time_share: float
    nodes_p50: Estimate
    nodes_p99: Estimate
    ms_p50: Estimate
    ms_p99: Estimate
    limit_share: Estimate
    headroom: float
    time_headroom: float
    trend: Trend
    costs: VersionCosts
    size: Size | None
    program: PublishedSize | None
    program_headroom: float
    is_live: bool
    runs_ahead: Ahead
    program_ahead: Ahead
    est_nodes: float
    est_stored_entries: float
    nodes_max: float | None
    first_logged_at: datetime | None
    last_logged_at: datetime | None

    def as_columns(self) -> dict[str, object]:
        """As a row of a frame: the one place that spells the names of columns, which are also those of ``summary.json``."""
        key, counts, trend, costs, program = self.key, self.counts, self.trend, self.costs, self.program
        size, smallest = self.size, program.smallest_rule if program else None
        return {
            "group": self.group, "realm_id": key.realm, "strategy": key.strategy, "strategy_version": key.version,
            "family_name": self.family_name, "strategy_id": self.strategy_id, "logged_count": counts.logged,
            "ok_logged_count": counts.ok, "failed_count": counts.failed, "timeout_count": counts.timeout,
            "limit_count": counts.limit, "canary_count": counts.canary, "unknown_code_count": counts.unknown_code,
            "cut_logged_count": counts.cut, "est_runs": self.est_runs, "est_time_share": self.est_time_share,
            "est_nodes_p50": self.nodes_p50, "est_nodes_p99": self.nodes_p99, "est_ms_p50": self.ms_p50,
            "est_ms_p99": self.ms_p99, "limit_share": self.limit_share, "headroom": self.headroom,
            "time_headroom": self.time_headroom, "trend": trend.state, "est_slope": trend.slope, "est_level": trend.level,
            "est_days_to_cap": trend.days_to_cap, "trend_day": trend.last_day, "trend_span": trend.span,
            "bounded_by": trend.entries_max, "est_total_ms": costs.total_ms, "time_share": costs.time_share,
            "est_ms_mean": costs.ms_mean, "ms_dispersion": costs.ms_dispersion, "stalled_count": costs.stalled_count,
            "unseen_stalls": costs.unseen_stalls, "est_nodes_total": costs.nodes_total, "node_share": costs.node_share,
            "est_nodes_mean": costs.nodes_mean, "depth": _or_nan(size.depth if size else None),
            "entries_max": _or_nan(size.entries_max if size else None), "visits_max": _or_nan(size.visits_max if size else None),
            "ast_nodes": _or_nan(program.nodes if program else None), "ast_depth": _or_nan(program.depth if program else None),
            "ast_headroom": self.program_headroom, "smallest_rule": _or_nan(smallest),
            "ast_refusal": program.refusal if program else None, "is_live": self.is_live,
            "est_versions_to_cap": self.runs_ahead.versions, "est_version_days_to_cap": self.runs_ahead.days,
            "est_ast_versions_to_cap": self.program_ahead.versions, "est_ast_days_to_cap": self.program_ahead.days,
            "est_nodes": self.est_nodes, "est_stored_entries": self.est_stored_entries, "nodes_max": _or_nan(self.nodes_max),
            "first_logged_at": self.first_logged_at, "last_logged_at": self.last_logged_at,
        }  # fmt: skip


COLUMNS = (
    "group", "realm_id", "strategy", "strategy_version", "family_name", "strategy_id", "logged_count", "ok_logged_count",
    "failed_count", "timeout_count", "limit_count", "canary_count", "unknown_code_count", "cut_logged_count", "est_runs",
    "est_time_share", "est_nodes_p50", "est_nodes_p99", "est_ms_p50", "est_ms_p99", "limit_share", "headroom", "time_headroom",
    "trend", "est_slope", "est_level", "est_days_to_cap", "trend_day", "trend_span", "bounded_by", "est_total_ms", "time_share",
    "est_ms_mean", "ms_dispersion", "stalled_count", "unseen_stalls", "est_nodes_total", "node_share", "est_nodes_mean", "depth",
    "entries_max", "visits_max", "ast_nodes", "ast_depth", "ast_headroom", "smallest_rule", "ast_refusal", "is_live",
    "est_versions_to_cap", "est_version_days_to_cap", "est_ast_versions_to_cap", "est_ast_days_to_cap", "est_nodes",
    "est_stored_entries", "nodes_max", "first_logged_at", "last_logged_at",
)  # fmt: skip
"""Of the frame, in its order."""


def ranking_frame(rows: Sequence[RankingRow]) -> pd.DataFrame:
    """The ranking for who calls the library: counts end in ``_count`` and count the log, columns of estimates hold `Estimate`."""
    import pandas as pd

    return pd.DataFrame([row.as_columns() for row in rows], columns=list(COLUMNS))


def _or_nan(number: float | None) -> float:
    return math.nan if number is None else number


def rank_versions(
    lake: Warehouse,
    since: datetime,
    until: datetime,
    thresholds: Thresholds = STANDARD,
    *,
    counts: pd.DataFrame | None = None,
    costs: RunCosts | None = None,
    past: RunCosts | None = None,
    ahead: FleetGrowth | None = None,
) -> tuple[RankingRow, ...]:
    """What each version needs, in the order a reader should see it.

    Args:
        lake: Where the runs are.
        since, until: The window, UTC.
        thresholds: The engine's limits, and what is called close and soon.
        counts: ``by_day(lake, until)``, when the caller has it.
        costs: ``run_costs`` of the window, when the caller has them.
        past: Those of the time before it, whose stalls tell of the window's.
        ahead: ``fleet_growth`` up to the end of the window, when the caller has it.
    """
    totals = lake.run("cost_by_strategy", since=since, until=until)
    costs = run_costs(lake, since, until) if costs is None else costs
    counts = by_day(lake, until) if counts is None else counts
    ahead = fleet_growth(lake, until, thresholds, counts) if ahead is None else ahead
    sizes = fitting({key: one.size for key, one in ahead.stored.items()}, counts, totals)
    moving = trends(counts, thresholds.node_cap, sizes)
    together, times = (dict(keyed(frame)) for frame in (costs.together, costs.times))
    all_ms = float(totals["est_total_ms"].sum())
    # An empty span is asked for where the window leaves no history to compare with.
    rate = coverage(lake, Window(since, until)).smallest_rate if since < until else DEFAULT_SAMPLE_RATE
    logged = {
        key_of(record["realm_id"], record["strategy"], record["strategy_version"]): record for record in records(totals)
    }
    ran = {
        key: _logged_runs(record, together.get(key), times.get(key), _most_nodes(sizes.get(key), thresholds))
        for key, record in logged.items()
    }
    costs_of = fleet_costs(ran, rate, [] if past is None else [frame for _, frame in keyed(past.times)])
    rows = [
        _row(key, record, _Known(ran[key], costs_of[key], sizes.get(key), moving.get(key, NO_TREND)), ahead, thresholds, rate)
        for key, record in logged.items()
    ]  # fmt: skip
    shared = [replace(row, est_time_share=ran[row.key].total_ms / all_ms if all_ms > 0 else 0.0) for row in rows]
    shared.sort(key=lambda row: (_URGENCY.index(row.group), _urgency(row), -row.est_time_share))
    return tuple(shared)


@dataclass(frozen=True, slots=True)
class FleetGrowth:
    """What programs and versions are, and where they lead.

    Attributes:
        stored: The programs that the lake holds.
        programs: Those that are live, and where their growth leads.
        versions: What the runs of each family's versions needed.
        runs: Families whose runs grow by versions: the newest version, and where that leads.
    """

    stored: Mapping[Key, StoredProgram]
    programs: Mapping[Key, ProgramGrowth]
    versions: Mapping[FamilyKey, list[VersionNodes]]
    runs: Mapping[Key, Ahead]

    def entries_at(self, key: Key, cap: float) -> float:
        """Trace entries with which a run of a version meets a cap on visits; see ``Size.entries_at``."""
        return self.stored[key].size.entries_at(cap) if key in self.stored else cap


def fleet_growth(lake: Warehouse, until: datetime, thresholds: Thresholds, counts: pd.DataFrame) -> FleetGrowth:
    """How programs and their runs grow from version to version, up to the end of a window.

    Args:
        lake: Where the definitions are.
        until: End of the window, UTC.
        thresholds: The engine's limits.
        counts: ``by_day(lake, until)``.
    """
    stored = stored_programs(lake, thresholds)
    versions = version_nodes(counts)
    cap = thresholds.node_cap
    found = FleetGrowth(stored, program_growth(stored, counts, until, cap), versions, {})
    runs = {key: versions_to_cap(chain, found.entries_at(key, cap), until) for key, chain in chains(versions).items()}
    return replace(found, runs=runs)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a version beside its totals: its rows, costs, program and trend."""

    runs: LoggedRuns
    costs: VersionCosts
    size: Size | None
    trend: Trend


def _logged_runs(
    record: Mapping[str, Any], together: pd.DataFrame | None, times: pd.DataFrame | None, most_nodes: float
) -> LoggedRuns:
    count, ok_count, total_ms = record["logged_count"], record["ok_logged_count"], record["est_total_ms"]
    return LoggedRuns(int(count), int(ok_count), float(total_ms), together, times, most_nodes)


def _row(
    key: Key, record: Mapping[str, Any], known: _Known, ahead: FleetGrowth, limits: Thresholds, rate: float
) -> RankingRow:
    """A row of the query cost_by_strategy with all else that is known of the version; its share of time is not yet."""
    est_runs, size, trend = _runs(record, rate), known.size, known.trend
    nodes_p50, nodes_p99, ms_p50, ms_p99 = _quantiles(known.runs.together, known.runs.times, rate)
    # The log has entries and the cap counts visits, of which a run has somewhat more.
    cap = size.entries_at(limits.node_cap) if size else limits.node_cap
    counts = _counts(record)
    stored, program = ahead.stored.get(key), ahead.programs.get(key)
    counted = stored.counted if stored else None
    return RankingRow(
        key=key,
        group=_group(counts.limit, trend, nodes_p99, cap, counted if program else None, limits),
        family_name=text_or_none(record["family_name"]),
        strategy_id=record["strategy_id"],
        counts=counts,
        est_runs=est_runs,
        est_time_share=0.0,
        nodes_p50=nodes_p50,
        nodes_p99=nodes_p99,
        ms_p50=ms_p50,
        ms_p99=ms_p99,
        limit_share=_limit_share(counts.limit, est_runs),
        headroom=0.0 if counts.limit else _headroom(nodes_p99, cap),
        time_headroom=_headroom(ms_p99, limits.time_limit_ms),
        trend=trend,
        costs=known.costs,
        size=size,
        program=counted,
        program_headroom=max(0.0, 1 - counted.nodes / limits.node_cap) if counted else math.nan,
        is_live=program is not None,
        runs_ahead=ahead.runs.get(key, NOWHERE),
        program_ahead=program.ahead if program else NOWHERE,
        est_nodes=float(record["est_nodes"]),
        est_stored_entries=float(record["est_stored_entries"]),
        nodes_max=record["nodes_max"],
        first_logged_at=record["first_logged_at"],
        last_logged_at=record["last_logged_at"],
    )


def _counts(record: Mapping[str, Any]) -> LoggedCounts:
    names = ("logged", "ok_logged", "failed", "timeout", "limit", "canary", "unknown_code", "cut_logged")
    return LoggedCounts(*(int(record[f"{name}_count"]) for name in names))


def _most_nodes(size: Size | None, limits: Thresholds) -> float:
    """Trace entries that a run can leave: the cap's, or those of its program where they are fewer."""
    entries = size.entries_max if size else None
    return limits.node_cap if entries is None else min(float(entries), limits.node_cap)


def _runs(record: Mapping[str, Any], rate: float) -> Estimate:
    return estimators.runs(
        int(record["sampled_count"]),
        float(record["weight_sum"]),
        float(record["weight_square_sum"]),
        int(record["kept_count"]),
        rate,
    )


def _quantiles(
    together: pd.DataFrame | None, times: pd.DataFrame | None, rate: float
) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Median and p99 of nodes and of milliseconds. Stopped runs are "at least"."""
    if together is None or times is None:
        return NOTHING, NOTHING, NOTHING, NOTHING
    nodes, more = estimators.nodes(together["status"].to_numpy(), _floats(together["nodes_executed"]))
    took, longer = estimators.durations(times["status"].to_numpy(), _floats(times["duration_ms"]))
    undrawn = 0.0 if (times["status"] == "ok").any() else upper_bound_of_none(rate)
    nodes50, nodes99 = _of_counts(nodes, together, more, undrawn)
    took50, took99 = _of_counts(took, times, longer, undrawn)
    return nodes50, nodes99, took50, took99


def _of_counts(values: Floats, rows: pd.DataFrame, censored: npt.NDArray[np.bool_], undrawn: float) -> list[Estimate]:
    weights, counts = _floats(rows["sample_weight"]), rows["logged_count"].to_numpy()
    return estimators.quantiles_of_counts(values, weights, counts, (0.5, 0.99), censored=censored, undrawn=undrawn)


def _floats(column: pd.Series[float]) -> Floats:
    values: Floats = column.to_numpy(dtype=float, na_value=math.nan)
    return values


def _limit_share(stopped: int, runs: Estimate) -> Estimate:
    """Share of runs that a cap stopped: the stops are counted, the runs estimated.

    None seen is not never: the upper end is then the exact form of the rule of three over the runs there were at least.
    """
    if stopped:
        return estimators.failure_rate(stopped, runs)
    least = max(runs.low, 1.0)
    return Estimate(0.0, 0.0, 1 - (1 - estimators.CONFIDENCE) ** (1 / least), runs.logged_count, runs.grade)


def _headroom(p99: Estimate, limit: float) -> float:
    if p99.is_at_least:  # of what was stopped earlier, as time is by the cap, nobody knows how much more it took
        return 0.0 if p99.value >= limit else math.nan
    if not math.isfinite(p99.value) or limit <= 0:
        return math.nan
    return max(0.0, 1 - p99.value / limit)


def _group(
    stopped: int, trend: Trend, p99: Estimate, cap: float, live: PublishedSize | None, limits: Thresholds
) -> Group:
    """By its runs; where those are far from any limit, by its program, where that is the live one."""
    if stopped:
        return Group.HIT
    if trend.state == TrendState.GROWING and trend.days_to_cap.value <= limits.horizon_days:
        return Group.HEADING
    if p99.value >= limits.close * cap:
        return Group.CLOSE
    is_near = live is not None and live.nodes >= limits.close * limits.node_cap
    return Group.PROGRAM_CLOSE if is_near else Group.NOT_GROWING


def _urgency(row: RankingRow) -> float:
    """Within a group: most stopped runs first, largest program first, soonest day first."""
    match row.group:
        case Group.HIT:
            return -float(row.counts.limit)
        case Group.PROGRAM_CLOSE:
            return -float(row.program.nodes) if row.program else 0.0
        case Group.HEADING:
            return row.trend.days_to_cap.value
        case _:
            return 0.0


def versions_without_runs(lake: Warehouse, ranking: Sequence[RankingRow]) -> list[Key]:
    """Published strategies without a single logged run in the ranking's window."""
    seen = {row.key.family for row in ranking}
    found = lake.sql(
        "select realm_id, family_name, max(strategy_version) from definitions "
        "where status = 'PUBLISHED' and not is_deleted and family_name is not null group by all order by all"
    ).fetchall()
    return [key for row in found if (key := key_of(*row)).family not in seen]
