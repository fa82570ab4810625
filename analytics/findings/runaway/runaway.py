"""Runaway rules: who hits the engine's limits, who is heading there, and what else costs more than it should. Data only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from analytics.findings.failures.stops import Burst, Stop, burst_ends, bursts, is_gone, stop_count, stopped, users_of
from analytics.findings.failures.timeout_causes import timeout_cause
from analytics.findings.rules.program_profiles import dead_rules, hot_rules
from analytics.findings.runaway.finding import (
    Finding,
    close,
    fixed,
    growing,
    limit,
    program,
    refused,
    slow,
    stall,
    timeouts,
    versions,
)
from analytics.findings.runaway.keys import FamilyKey, Key, key_of
from analytics.findings.runaway.previous_report import Now, compared, runs_without
from analytics.findings.runaway.ranking import GROUPS, Growth, growth, league, silent
from analytics.findings.runaway.run_costs import RunCosts, run_costs
from analytics.findings.runaway.thresholds import STANDARD, Thresholds
from analytics.findings.runaway.trend import HISTORY, Trend, by_day, daily_p99, trends
from analytics.findings.runaway.version_growth import NOWHERE, Ahead, chains, passed, steps_to_cap
from analytics.findings.timing.time_split import Times, time_split
from analytics.warehouse.warehouse import records
from analytics.window import Window, midnight

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.runaway.previous_report import Previous
    from analytics.warehouse.warehouse import Warehouse

__all__ = [
    "GROUPS", "HISTORY", "Burst", "Evidence", "Finding", "Key", "Stop", "Times", "Trend", "bursts", "by_day",
    "daily_p99", "dead_rules", "findings_list", "gather", "hot_rules", "key_of", "league", "silent", "stopped", "time_split",
    "trends",
]  # fmt: skip

_ORDER = ("new", "worse", "finding", "fixed", "waiting")
_STOPS = ("limit", "canary", "unknown")
_NO_SIZE = {"visits_max": None, "depth": None}
_UNDECIDED = ("growing", "cannot tell", "too few days")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the findings rest on, asked of the lake once.

    Attributes:
        since, until: The window, UTC.
        thresholds: The engine's limits, and what is called close, soon and slow.
        table: The league of the window.
        earlier: The league of the days before it, up to fourteen.
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
    table: pd.DataFrame
    earlier: pd.DataFrame
    costs: RunCosts
    counts: pd.DataFrame
    growth: Growth
    stops: list[Stop]
    stops_before: list[Stop]
    times: Times
    has_history: bool


def gather(lake: Warehouse, since: datetime, until: datetime, thresholds: Thresholds = STANDARD) -> Evidence:
    """Ask the lake for everything a report on runaway rules needs."""
    counts = by_day(lake, until)
    costs = run_costs(lake, since, until)
    leads = growth(lake, until, thresholds, counts)
    start = until - HISTORY
    # A window as long as the history leaves nothing to compare with.
    past = run_costs(lake, min(start, since), since)
    table = league(lake, since, until, thresholds, counts=counts, costs=costs, past=past, ahead=leads)
    earlier = league(lake, min(start, since), since, thresholds, counts=counts, costs=past, ahead=leads)
    before = stopped(lake, start, since) if start < since else []
    return Evidence(
        since, until, thresholds, table, earlier, costs, counts, leads, stopped(lake, since, until), before,
        time_split(
            lake, table, earlier, min(start, since), until,
            extra_ms=thresholds.slow_extra_ms, times=thresholds.slow_times,
        ),
        len(earlier) > 0,
    )  # fmt: skip


def met_by_many(evidence: Evidence, least: int) -> Evidence:
    """The evidence without stops of a kind and version, or of a stall, that fewer users met."""
    kept: dict[str, list[Stop]] = {}
    for name, stops in (("stops", evidence.stops), ("stops_before", evidence.stops_before)):
        groups: dict[tuple[str, Key | int], list[Stop]] = {}
        for stop in stops:
            groups.setdefault((stop.kind, stop.key if stop.stall is None else stop.stall), []).append(stop)
        many = {group for group, own in groups.items() if users_of(own)[0] >= least}
        kept[name] = [stop for stop in stops if (stop.kind, stop.key if stop.stall is None else stop.stall) in many]
    return replace(evidence, stops=kept["stops"], stops_before=kept["stops_before"])


def findings_list(lake: Warehouse, evidence: Evidence, previous: Previous | None = None) -> list[Finding]:
    """What a person should know, most urgent first: new, worse, other findings, fixed, waiting.

    Args:
        lake: Where the runs are.
        evidence: What ``gather`` found.
        previous: The last report; without one, the lake's own days before the window say what is new and what is fixed.
    """
    found = [
        *_stops(lake, evidence),
        *_nearing(evidence),
        *(slow(row, _is_slow_anew(evidence, row)) for row in records(evidence.times.table) if row["is_slow"]),
    ]
    if previous is None:
        found += _fixed(lake, evidence)
    else:
        now = Now(
            evidence.since, evidence.until, records(evidence.table), partial(_settled, evidence), _left(evidence.stops)
        )
        found = compared(found, previous, now)
    # Python's sort is stable: within a kind, limits before canaries before growth, each with the most runs first.
    return sorted(found, key=lambda finding: _ORDER.index(finding.kind))


def _nearing(evidence: Evidence) -> list[Finding]:
    """Who grows day by day, who from version to version, who is close without growing: at most one of them for a version.

    Beside it a version's program may be close to what the validator takes, which is another limit that no run meets.
    """
    limits, versions_of = evidence.thresholds, evidence.growth.versions
    known = chains(versions_of)
    passing = steps_to_cap(versions_of, lambda key: evidence.growth.entries_at(key, limits.node_cap))
    found = []
    for row in records(evidence.table):
        key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
        leads = evidence.growth.runs.get(key, NOWHERE)
        if row["group"] == GROUPS[1]:
            found.append(growing(row, versions_of.get(key.family, []), key in passing))
        elif key in passing or _is_soon(leads, limits):
            found.append(versions(key, known[key], limits.node_cap, key in passing, leads))
        elif row["group"] == GROUPS[2]:
            found.append(close(row, limits.node_cap))
    return found + _programs(evidence)


def _programs(evidence: Evidence) -> list[Finding]:
    """Whose program the validator would soon refuse, or would have refused; of each family the live version alone."""
    limits, found = evidence.thresholds, []
    near = limits.close * limits.node_cap
    before = {
        key_of(row["realm_id"], row["strategy"], 0).family
        for row in records(evidence.earlier)
        if row["ast_nodes"] is not None and row["ast_nodes"] >= near
    }
    for row in records(evidence.table):
        own = evidence.growth.programs.get(key_of(row["realm_id"], row["strategy"], row["strategy_version"]))
        if own is None:
            continue
        if own.nodes[-1][1] >= near or own.next_is_refused or _is_soon(own.ahead, limits):
            kind = "finding" if not _is_new(evidence, own.key) else "worse" if own.key.family in before else "new"
            found.append(program(kind, row, own, limits))
    return sorted(found, key=lambda one: one.facts["program"].room)


def _is_soon(leads: Ahead, limits: Thresholds) -> bool:
    """Whether versions meet a limit within the horizon, and nothing says that they may never."""
    return leads.versions.high < math.inf and leads.days.value <= limits.horizon_days


def _stops(lake: Warehouse, evidence: Evidence) -> list[Finding]:
    grouped: dict[tuple[str, Key], list[Burst]] = {}
    found = []
    for burst in bursts(evidence.stops):
        if burst.key is None:
            found.append(stall(burst, burst_ends([burst], evidence.since, evidence.until)))
        elif burst.kind != "timeout":
            grouped.setdefault((burst.kind, burst.key), []).append(burst)
    known = {(stop.kind, stop.key.family) for stop in evidence.stops_before}
    sizes = {key_of(row["realm_id"], row["strategy"], row["strategy_version"]): row for row in records(evidence.table)}
    for (kind, key), own in sorted(
        grouped.items(), key=lambda item: (_STOPS.index(item[0][0]), -sum(b.count for b in item[1]))
    ):
        earlier = [stop for stop in evidence.stops_before if stop.kind == kind and stop.key.family == key.family]
        before = stop_count(stop for stop in earlier if stop.key == key)
        others = stop_count(earlier) - before
        is_new = (kind, key.family) not in known
        # What went on before the window did not begin in it, and a log that begins with it does not tell.
        reach = evidence.since if before or not evidence.has_history else min(evidence.since, evidence.until - HISTORY)
        when = burst_ends(own, reach, evidence.until)
        if kind == "limit":
            start, limits = min(evidence.since, evidence.until - HISTORY), evidence.thresholds
            window = Window(evidence.since, evidence.until)
            needed = passed(lake, key, own, start, window, before=before, node_cap=limits.node_cap)
            size = sizes.get(key, _NO_SIZE)
            one = limit("finding", key, own, before, needed, size, limits, when=when, others_before=others)
            # What an older version was stopped by was another cap, where this one's runs pass at other times.
            is_new = is_new or (one.facts["may_be_lowered"] and not before)
            found.append(replace(one, kind="new") if is_new and evidence.has_history else one)
        else:
            stops = [stop for stop in evidence.stops if stop.kind == kind and stop.key == key]
            tag = "new" if is_new and evidence.has_history else "finding"
            found.append(refused(tag, key, own, stops, before, when=when, others_before=others))
    return found + [_judged(lake, evidence, one, sizes) for one in timeouts(evidence.stops, evidence.table)]


def _judged(lake: Warehouse, evidence: Evidence, found: Finding, rows: Mapping[Key, Mapping[str, Any]]) -> Finding:
    """A version's timeouts with what they come from."""
    assert found.key is not None  # noqa: S101  # timeouts are one version's, for the type checker
    own = [stop for stop in evidence.stops if stop.kind == "timeout" and stop.key == found.key and not stop.stalled]
    row = rows[found.key]
    nodes = float(row["nodes_max"]) if row["nodes_max"] is not None else math.nan
    cause = timeout_cause(lake, found.key.family, own, evidence.stops, nodes_max=nodes, limits=evidence.thresholds)
    return replace(found, facts={**found.facts, "cause": cause})


def _is_slow_anew(evidence: Evidence, row: Mapping[str, Any]) -> bool:
    """Whether the version is new, or became slow within the window."""
    key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
    began = row["slow_since"]
    return _is_new(evidence, key) or (began is not None and evidence.has_history and midnight(began) >= evidence.since)


def _is_new(evidence: Evidence, key: Key) -> bool:
    before = {key_of(row["realm_id"], row["strategy"], row["strategy_version"]) for row in records(evidence.earlier)}
    return evidence.has_history and key not in before


def _left(stops: Iterable[Stop]) -> Counter[tuple[str, FamilyKey]]:
    """Stopped runs of each kind and family, findings or not; those of a stalled event loop are nobody's own."""
    found: Counter[tuple[str, FamilyKey]] = Counter()
    for stop in stops:
        if not stop.stalled:
            found[stop.kind, stop.key.family] += stop.logged_count
    return found


def _settled(evidence: Evidence, what: str, family: FamilyKey) -> bool | None:
    """Whether growth, closeness or slowness of a family, which is not found any more, can be said to be over."""
    if what == "slow":
        own = [
            row for row in records(evidence.times.table) if key_of(row["realm_id"], row["strategy"], 0).family == family
        ]
        return (len(own) > 0 and not any(_may_be_slow(row, evidence.thresholds) for row in own)) or None
    own = [row for row in records(evidence.table) if key_of(row["realm_id"], row["strategy"], 0).family == family]
    if what == "program":
        return (len(own) > 0 and any(row["is_live"] for row in own)) or None
    if what == "close":
        return (len(own) > 0 and all(row["est_nodes_p99"].grade != "too few" for row in own)) or None
    return (len(own) > 0 and not any(row["trend"] in _UNDECIDED for row in own)) or None


def _may_be_slow(row: Mapping[str, Any], limits: Thresholds) -> bool:
    """Whether a version that is not called slow may be: its nodes take long, or there is nothing to compare its time with."""
    ms, explained = row["est_ms_p50"].value, row["explained_ms"].value
    is_far_above = ms > limits.slow_times * explained and ms - explained > limits.slow_extra_ms
    return row["verdict"] != "fine" or not math.isfinite(ms) or is_far_above


def _fixed(lake: Warehouse, evidence: Evidence) -> list[Finding]:
    """Limits hit in a window of the same length just before, and not in this one though enough runs went by."""
    start = evidence.since - (evidence.until - evidence.since)
    recent: dict[tuple[str | None, str], list[Stop]] = {}
    for stop in evidence.stops_before:
        if stop.kind == "limit" and stop.at is not None and stop.at >= start:
            recent.setdefault(stop.key.family, []).append(stop)
    still = {stop.key.family for stop in evidence.stops if stop.kind == "limit"}
    if not set(recent) - still:
        return []
    runs_before: dict[FamilyKey, float] = {}
    for row in records(lake.run("cost_by_strategy", since=start, until=evidence.since)):
        family = key_of(row["realm_id"], row["strategy"], 0).family
        runs_before[family] = runs_before.get(family, 0.0) + float(row["est_runs"])
    found = []
    for family, stops in recent.items():
        if family in still:
            continue
        runs, is_live = runs_without(records(evidence.table), stops[-1].key)
        if runs is not None and is_gone(stop_count(stops), runs_before.get(family, 0.0), runs.low):
            found.append(fixed(stops, runs, is_live=is_live))
    return found
