"""The league: what each strategy needs of the engine, how far it is from the limits, and where it is heading."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.estimates import estimators
from analytics.estimates.estimators import NOTHING, Estimate, upper_bound_of_none
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE
from analytics.findings.runaway.keys import FamilyKey, Key, key_of, keyed, text_or_none
from analytics.findings.runaway.program_sizes import ProgramGrowth, Stored, fitting, program_growth, stored_programs
from analytics.findings.runaway.run_costs import COST_COLUMNS, Ran, RunCosts, fleet_costs, run_costs
from analytics.findings.runaway.thresholds import STANDARD, Thresholds
from analytics.findings.runaway.trend import NO_TREND, Trend, by_day, trends
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
    import pandas as pd

    from analytics.program import Size
    from analytics.warehouse.warehouse import Warehouse

GROUPS = ("hit a limit", "heading for the cap", "close to the cap", "program close to the cap", "not growing")
"""By urgency. The last but one is about programs as the validator counts them, the others about runs."""


def league(
    lake: Warehouse,
    since: datetime,
    until: datetime,
    thresholds: Thresholds = STANDARD,
    *,
    counts: pd.DataFrame | None = None,
    costs: RunCosts | None = None,
    past: RunCosts | None = None,
    ahead: Growth | None = None,
) -> pd.DataFrame:
    """What each version needs, in the order a reader should see it.

    Args:
        lake: Where the runs are.
        since, until: The window, UTC.
        thresholds: The engine's limits, and what is called close and soon.
        counts: ``by_day(lake, until)``, when the caller has it.
        costs: ``run_costs`` of the window, when the caller has them.
        past: Those of the time before it, whose stalls tell of the window's.
        ahead: ``growth`` up to the end of the window, when the caller has it.

    Returns:
        Grain: realm, strategy, version. Counts end in ``_count`` and count the log; columns of estimates hold
        `Estimate` objects: ``est_runs``, ``est_nodes_p50``, ``est_nodes_p99``, ``est_ms_p50``, ``est_ms_p99``, ``limit_share``,
        ``est_slope`` (nodes per day), ``est_level`` and ``est_days_to_cap`` (both as of ``trend_day``; see `Trend`, whose state
        ``trend`` is). ``est_time_share`` is a plain share of one. What a version costs:
        the columns of `fleet_costs`.
        ``depth``, ``entries_max`` and ``visits_max`` are those of its program (NaN where no definition is
        readable, or where it is not the program that ran).
        ``headroom`` is the part of the cap, in trace entries of such runs, that p99 leaves, 0 when runs were stopped;
        ``time_headroom`` the same of time. NaN where p99 lies among runs that were stopped before they came to that limit.
        The other headroom is the program's: ``ast_nodes`` and ``ast_depth`` are what the validator counts of it when it is saved
        (NaN where no definition is readable), ``ast_headroom`` the part of the same cap that is left, 0 above it,
        ``smallest_rule`` the nodes of its smallest rule, ``ast_refusal`` why the validator refuses it as it is stored (empty where
        it does not; None where nothing is readable). ``is_live`` is true of the version of its family that ran last.
        Where versions grow: ``est_versions_to_cap`` and ``est_version_days_to_cap`` are the versions and days until runs pass the
        cap, ``est_ast_versions_to_cap`` and ``est_ast_days_to_cap`` until a program is refused (see `Ahead`; NaN otherwise).
        ``group`` is one of `GROUPS`.
    """
    import pandas as pd

    totals = lake.run("cost_by_strategy", since=since, until=until)
    costs = run_costs(lake, since, until) if costs is None else costs
    counts = by_day(lake, until) if counts is None else counts
    ahead = growth(lake, until, thresholds, counts) if ahead is None else ahead
    sizes = fitting({key: one.size for key, one in ahead.stored.items()}, counts, totals)
    moving = trends(counts, thresholds.node_cap, sizes)
    together, times = (dict(keyed(frame)) for frame in (costs.together, costs.times))
    all_ms = float(totals["est_total_ms"].sum())
    # An empty span is asked for where the window leaves no history to compare with.
    rate = coverage(lake, Window(since, until)).smallest_rate if since < until else DEFAULT_SAMPLE_RATE
    ran = {
        key: Ran(record, together.get(key), times.get(key), _most_nodes(sizes.get(key), thresholds))
        for record in records(totals)
        if (key := key_of(record["realm_id"], record["strategy"], record["strategy_version"]))
    }
    costs_of = fleet_costs(ran, rate, [] if past is None else [frame for _, frame in keyed(past.times)])
    rows = [
        _row(
            one.record,
            _quantiles(together.get(key), times.get(key), rate),
            costs_of[key],
            sizes.get(key),
            moving.get(key, NO_TREND),
            all_ms,
            thresholds,
            rate,
        )
        | _growing(key, ahead, thresholds)
        for key, one in ran.items()
    ]
    _group_programs(rows, thresholds)
    rows.sort(key=lambda row: (GROUPS.index(row["group"]), _urgency(row), -row["est_time_share"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


COLUMNS = (
    "group", "realm_id", "strategy", "strategy_version", "family_name", "strategy_id", "logged_count", "ok_logged_count",
    "failed_count", "timeout_count", "limit_count", "canary_count", "unknown_code_count", "cut_logged_count", "est_runs",
    "est_time_share",
    "est_nodes_p50", "est_nodes_p99", "est_ms_p50", "est_ms_p99", "limit_share", "headroom", "time_headroom", "trend", "est_slope",
    "est_level", "est_days_to_cap", "trend_day", "trend_span", "bounded_by",
    *COST_COLUMNS, "depth", "entries_max", "visits_max", "ast_nodes", "ast_depth", "ast_headroom", "smallest_rule", "ast_refusal",
    "is_live", "est_versions_to_cap", "est_version_days_to_cap", "est_ast_versions_to_cap", "est_ast_days_to_cap",
    "est_nodes", "est_stored_entries", "nodes_max",
    "first_logged_at", "last_logged_at",
)  # fmt: skip


_SIZES = ("depth", "entries_max", "visits_max")


@dataclass(frozen=True, slots=True)
class Growth:
    """What programs and versions are, and where they lead.

    Attributes:
        stored: The programs that the lake holds.
        programs: Those that are live, and where their growth leads.
        versions: What the runs of each family's versions needed.
        runs: Families whose runs grow by versions: the newest version, and where that leads.
    """

    stored: Mapping[Key, Stored]
    programs: Mapping[Key, ProgramGrowth]
    versions: Mapping[FamilyKey, list[VersionNodes]]
    runs: Mapping[Key, Ahead]

    def entries_at(self, key: Key, cap: float) -> float:
        """Trace entries with which a run of a version meets a cap on visits; see ``Size.entries_at``."""
        return self.stored[key].size.entries_at(cap) if key in self.stored else cap


def growth(lake: Warehouse, until: datetime, thresholds: Thresholds, counts: pd.DataFrame) -> Growth:
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
    found = Growth(stored, program_growth(stored, counts, until, cap), versions, {})
    runs = {key: versions_to_cap(chain, found.entries_at(key, cap), until) for key, chain in chains(versions).items()}
    return replace(found, runs=runs)


def _growing(key: Key, ahead: Growth, limits: Thresholds) -> dict[str, Any]:
    """The columns of the program as the validator counts it, and of growth by versions."""
    stored = ahead.stored.get(key)
    counted = stored.counted if stored else None
    program, runs = ahead.programs.get(key), ahead.runs.get(key, NOWHERE)
    of_program = program.ahead if program else NOWHERE
    smallest = counted.smallest_rule if counted else None
    return {
        "ast_nodes": counted.nodes if counted else math.nan,
        "ast_depth": counted.depth if counted else math.nan,
        "ast_headroom": max(0.0, 1 - counted.nodes / limits.node_cap) if counted else math.nan,
        "smallest_rule": math.nan if smallest is None else smallest,
        "ast_refusal": counted.refusal if counted else None,
        "is_live": program is not None,
        "est_versions_to_cap": runs.versions,
        "est_version_days_to_cap": runs.days,
        "est_ast_versions_to_cap": of_program.versions,
        "est_ast_days_to_cap": of_program.days,
    }


def _group_programs(rows: list[dict[str, Any]], limits: Thresholds) -> None:
    """Puts versions whose runs are far from any limit where their programs belong."""
    for row in rows:
        if row["group"] == GROUPS[-1] and row["is_live"] and row["ast_nodes"] >= limits.close * limits.node_cap:
            row["group"] = GROUPS[3]


def _row(
    record: Mapping[str, Any],
    quantiles: tuple[Estimate, Estimate, Estimate, Estimate],
    costs: dict[str, Any],
    size: Size | None,
    trend: Trend,
    all_ms: float,
    limits: Thresholds,
    rate: float,
) -> dict[str, Any]:
    est_runs = _runs(record, rate)
    nodes_p50, nodes_p99, ms_p50, ms_p99 = quantiles
    stopped = int(record["limit_count"])
    # The log has entries and the cap counts visits, of which a run has somewhat more.
    cap = size.entries_at(limits.node_cap) if size else limits.node_cap
    return {
        **{name: record[name] for name in COLUMNS if name in record and name not in ("est_runs", "est_total_ms")},
        "group": _group(stopped, trend, nodes_p99, cap, limits),
        "realm_id": text_or_none(record["realm_id"]),
        "family_name": text_or_none(record["family_name"]),
        "est_runs": est_runs,
        "est_time_share": float(record["est_total_ms"]) / all_ms if all_ms > 0 else 0.0,
        "est_nodes_p50": nodes_p50,
        "est_nodes_p99": nodes_p99,
        "est_ms_p50": ms_p50,
        "est_ms_p99": ms_p99,
        **costs,
        **{name: math.nan if (known := getattr(size, name, None)) is None else known for name in _SIZES},
        "limit_share": _limit_share(stopped, est_runs),
        "headroom": 0.0 if stopped else _headroom(nodes_p99, cap),
        "time_headroom": _headroom(ms_p99, limits.time_limit_ms),
        "trend": trend.state,
        "est_slope": trend.slope,
        "est_level": trend.level,
        "est_days_to_cap": trend.days_to_cap,
        "trend_day": trend.last_day,
        "trend_span": trend.span,
        "bounded_by": trend.entries_max,
    }


def _most_nodes(size: Size | None, limits: Thresholds) -> float:
    """Trace entries that a run can leave: the cap's, or those of its program where they are fewer."""
    entries = getattr(size, "entries_max", None)
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


def _of_counts(values: Any, rows: pd.DataFrame, censored: Any, undrawn: float) -> list[Estimate]:
    weights, counts = _floats(rows["sample_weight"]), rows["logged_count"].to_numpy()
    return estimators.quantiles_of_counts(values, weights, counts, (0.5, 0.99), censored=censored, undrawn=undrawn)


def _floats(column: pd.Series[Any]) -> Any:
    return column.to_numpy(dtype=float, na_value=math.nan)


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


def _group(stopped: int, trend: Trend, p99: Estimate, cap: float, limits: Thresholds) -> str:
    if stopped:
        return GROUPS[0]
    if trend.state == "growing" and trend.days_to_cap.value <= limits.horizon_days:
        return GROUPS[1]
    return GROUPS[2] if p99.value >= limits.close * cap else GROUPS[-1]


def _urgency(row: dict[str, Any]) -> float:
    if row["group"] == GROUPS[0]:
        return -float(row["limit_count"])
    if row["group"] == GROUPS[3]:
        return -float(row["ast_nodes"])
    return float(row["est_days_to_cap"].value) if row["group"] == GROUPS[1] else 0.0


def silent(lake: Warehouse, table: pd.DataFrame) -> list[Key]:
    """Published strategies without a single logged run in the league's window."""
    seen = {
        key_of(*values).family
        for values in zip(table["realm_id"], table["strategy"], table["strategy_version"], strict=True)
    }
    found = lake.sql(
        "select realm_id, family_name, max(strategy_version) from definitions "
        "where status = 'PUBLISHED' and not is_deleted and family_name is not null group by all order by all"
    ).fetchall()
    return [key for row in found if (key := key_of(*row)).family not in seen]
