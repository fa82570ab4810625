"""What the runaway report rests on: coverage, sampling, what was set aside, thresholds; and its facts for programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics import sql
from analytics.estimates.estimators import upper_bound_of_none
from analytics.findings.failures.stops import Ends, stop_count
from analytics.findings.runaway.previous_report import OVER
from analytics.findings.runaway.run_costs import DIGITS, logged
from analytics.findings.runaway.runaway import HISTORY, Evidence, Finding
from analytics.reports import page, silent
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import sentence
from analytics.reports.runaway.wording import plain_number
from analytics.warehouse.coverage import Coverage, coverage
from analytics.warehouse.warehouse import records
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.findings.failures.silences import Silences
    from analytics.findings.runaway.previous_report import Previous
    from analytics.warehouse.warehouse import Warehouse

_QUERIES = (
    "cost_by_strategy",
    "limit_runs",
    "nodes_by_day",
    "hot_nodes",
    "dead_rules",
    "time_by_nodes",
    "analytics_fields",
)
_LEAGUE_FACTS = (
    "group", "logged_count", "ok_logged_count", "failed_count", "timeout_count", "limit_count", "canary_count",
    "unknown_code_count", "est_runs",
    "est_time_share", "est_nodes_p50", "est_nodes_p99", "est_ms_p50", "est_ms_p99", "limit_share", "headroom", "time_headroom",
    "trend", "est_slope", "est_days_to_cap", "est_total_ms", "time_share", "est_ms_mean", "ms_dispersion", "est_nodes_total",
    "stalled_count", "unseen_stalls",
    "node_share", "est_nodes_mean", "depth", "entries_max", "ast_nodes", "ast_depth", "ast_headroom", "smallest_rule",
    "ast_refusal", "is_live", "est_versions_to_cap", "est_version_days_to_cap", "est_ast_versions_to_cap", "est_ast_days_to_cap",
)  # fmt: skip


def realm_words(lake: Warehouse) -> Inline:
    """Which tenants the page is about."""
    realms = lake.realms
    if len(realms) == 1:
        return Markup("realm <b>{}</b>").format(page.author(realm_name(realms[0])))
    named = sum(realm is not None for realm in realms)
    if not realms:
        return "no realm"
    told = write.counted(named, "realm")
    return f"{told} and runs without one" if named < len(realms) else told


def complete_words(lake: Warehouse, since: datetime, until: datetime) -> str:
    """One clause: is the log complete for the window?"""
    found = coverage(lake, Window(since, until))
    partial, complete_until, days = found.partial, found.complete_until, len(Window(since, until).days)
    gone = f"log lost in the lake for {len(found.lost)} of {days} days" if found.lost else ""
    if found.never:
        never = f"log not extracted for {len(found.never)} of {days} days{found.of_them_expired}"
        return f"{never}; {gone}" if gone else never
    if gone:
        return gone
    if partial:
        return f"log complete up to {write.when(complete_until)}" if complete_until else "log not complete yet"
    return "log complete for the window"


def warning(lake: Warehouse, since: datetime, until: datetime) -> str | None:
    """What belongs above everything else: counts of an incomplete log are too low."""
    found = coverage(lake, Window(since, until))
    missing, partial, complete_until = found.never, found.partial, found.complete_until
    told = [f"lost in the lake for {', '.join(map(write.day, found.lost[:3]))}{' …' * (len(found.lost) > 3)}"] * bool(
        found.lost
    )
    if missing:
        days = ", ".join(write.day(day) for day in missing[:3]) + (" …" if len(missing) > 3 else "")
        told.append(f"not extracted: {days}{found.of_them_expired}")
    if partial:
        told.append(f"complete only up to {write.when(complete_until)}" if complete_until else "not complete yet")
    return f"The log is {' and '.join(told)}. Counts may be too low." if told else None


def bound_of_none(lake: Warehouse, since: datetime, until: datetime) -> float:
    """How many ok runs there may have been where none was logged, at the smallest rate of the window."""
    return upper_bound_of_none(coverage(lake, Window(since, until)).smallest_rate)


def compared_words(previous: Previous | None) -> str:
    """What new, worse and fixed are measured by."""
    if previous is None:
        return (
            f"The {HISTORY.days} days before, as there is no last report. New: not in them. Fixed: none came, which at the earlier "
            "rate has a chance of less than one in twenty."
        )
    return (
        f"The report of {write.span(previous.since, previous.until)}. New: not in it. Worse: its rate rose by more than "
        "chance, or it still grows. Fixed: none came, which at the earlier rate has a chance of less than one in twenty; until "
        "then it is waiting."
    )


def facts(
    lake: Warehouse, evidence: Evidence, previous: Previous | None, sampling: str, silences: Silences
) -> list[tuple[Inline, Inline]]:
    """The data box."""
    limits = evidence.thresholds
    table, since, until = evidence.table, evidence.since, evidence.until
    kinds = {
        "limit_count": "limit",
        "canary_count": "canary",
        "timeout_count": "timeout",
        "unknown_code_count": "unknown code",
    }
    totals = {name: int(table[name].sum()) for name in ("ok_logged_count", "failed_count", *kinds)}
    others = totals["failed_count"] - sum(totals[name] for name in kinds)
    rates = (
        " and ".join(write.percent(rate) for rate in coverage(lake, Window(since, until)).sample_rates)
        or "An unknown share"
    )
    cut = int(table["cut_logged_count"].sum())
    all_runs = sum(row["est_runs"].value for row in records(table))
    costs = evidence.costs.together
    cancelled = logged(costs[(costs["status"] == "ok") & costs["nodes_executed"].isna()])
    rounded = f" In so large a window durations are rounded to {DIGITS} digits." if evidence.costs.is_rounded else ""
    stalled = stop_count(stop for stop in evidence.stops if stop.stalled)
    undefined = int(table["family_name"].isna().sum())
    ok, failed = totals["ok_logged_count"], totals["failed_count"]
    told = [f"{totals[name]} {kind}" for name, kind in kinds.items() if totals[name] or name != "unknown_code_count"]
    failures = ", ".join([*told, f"{others} other"])
    look_back = f"trends and comparisons look {HISTORY.days} days back from its end"
    held = coverage(lake, Window(since, until))
    definitions = (
        f"missing for {undefined} of {len(table)} strategies: those go by their id" if undefined else "all readable"
    )
    return [
        ("Window", f"{write.span(since, until)}, {silent.gaps(silent.extent(held), silences)}; {look_back}"),
        (
            "Rows used",
            f"{write.counted(ok, 'ok row')} and {write.counted(failed, 'failure')} ({failures}), for an estimated "
            f"{write.number(all_runs) if math.isfinite(all_runs) else 'unknown number of'} {'run' if all_runs == 1 else 'runs'}",
        ),
        (
            "Sampling rate",
            f"{rates} of ok runs, as configured at extraction; failures are all kept. The log does not store the rate. {sampling}",
        ),
        (
            "Set aside",
            f"{write.counted(cancelled, 'cancelled call')} (ok, no points, no trace), whose nodes are not known. "
            "Failed runs log 0 nodes and never enter a quantile; stopped runs count as beyond the limit. For the share of time, a "
            f"run above 10 s counts as 10 s.{rounded}",
        ),
        (
            "Timeouts",
            f"{stalled} of {totals['timeout_count']} lie closer together than those of unrelated strategies would (three or more "
            "within two minutes, such moments at most ten minutes apart): taken for a stalled event loop, counted against no rule"
            if totals["timeout_count"]
            else "none logged",
        ),
        (
            "Traces",
            f"{write.count(cut)} of {write.counted(ok, 'ok row')} cut at the storage limit; node counts are whole, entries are not"
            if ok
            else "no ok row is logged",
        ),
        ("Definitions", f"{silent.programs(lake)}{definitions}"),
        (
            "Limits",
            f"{write.count(limits.node_cap)} nodes, depth {write.count(limits.depth_cap)}, {write.ms(limits.time_limit_ms)}, as "
            "given to the report. The cap counts a little more than the trace does, so runs are stopped somewhat earlier. The same "
            "two bound programs when a version is saved: the engine has one setting for both.",
        ),
        (
            "Thresholds",
            f"growing: the cap within {limits.horizon_days:g} days · close: p99 from {write.percent(limits.close)} of "
            f"the cap, or a program as the validator counts it · slow: more than {limits.slow_times:g} times and "
            f"{write.ms(limits.slow_extra_ms)} above what the nodes explain",
        ),
        ("Compared with", compared_words(previous)),
        (
            "Not known",
            "Rows the database refused, the queue dropped or a kill lost; query times of analytics fields; nodes of runs that "
            f"timed out. {silent.not_looked_for()}",
        ),
    ]


def queries(since: datetime, until: datetime, *, is_scoped: bool) -> str:
    """The SQL behind the page, ready for ``strategy-analytics query``."""
    ends = f"{'--realm …' if is_scoped else '--all-realms'} --since '{since:%Y-%m-%d %H:%M}' --until '{until:%Y-%m-%d %H:%M}'"
    shown = [
        f"-- strategy-analytics query --name {name} {ends}\n{sql.text('queries', name).strip()}" for name in _QUERIES
    ]
    return "\n\n".join(shown)


def held(lake: Warehouse, since: datetime, until: datetime) -> Coverage:
    """How much of the window the lake holds."""
    return coverage(lake, Window(since, until))


def not_seen(held: Coverage) -> str:
    """What a sentence that says "nothing" has not looked at; empty where it has looked at all of the window."""
    said = [f"{write.counted(len(held.never), 'day')} not extracted"] * bool(held.never)
    said += [f"{write.counted(len(held.lost), 'day')} with lost files"] * bool(held.lost)
    return " and ".join(said)


def summary(evidence: Evidence, found: list[Finding], previous: Previous | None) -> dict[str, Any]:
    """The report's facts as plain JSON values: what is unknown is null."""
    return {
        "report": "runaway_rules",
        "since": evidence.since.isoformat(),
        "until": evidence.until.isoformat(),
        "thresholds": asdict(evidence.thresholds),
        "compared_with": previous and {"since": previous.since.isoformat(), "until": previous.until.isoformat()},
        "counts": {
            kind: sum(finding.kind == kind for finding in found)
            for kind in ("new", "worse", "finding", "fixed", "waiting")
        },
        "findings": [_finding(finding) for finding in found],
        "league": [
            {
                "realm": row["realm_id"] if isinstance(row["realm_id"], str) else None,
                "family": row["strategy"],
                "version": int(row["strategy_version"]),
                **{name: plain_number(row[name]) for name in _LEAGUE_FACTS},
            }
            for row in records(evidence.table)
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    key = finding.key
    return {
        "kind": finding.kind,
        "what": finding.what,
        "realm": key.realm if key else None,
        "family": key.strategy if key else None,
        "version": key.version if key else None,
        "since": finding.since.isoformat() if finding.since else None,
        "until": finding.until.isoformat() if finding.until else None,
        "count": finding.count,
        "number": plain_number(finding.number),
        "unit": finding.unit,
        **_ends(finding),
        **({"waiting": _waiting(finding)} if finding.kind == "waiting" else {}),
        # The page's sentence without its markup: user ids are masked in both.
        "sentence": str(sentence(finding).striptags()),
    }


def _ends(finding: Finding) -> dict[str, Any]:
    """Between which moments it began and ended (95 %), where its runs tell; null is not known, or not ended."""
    when: Ends | None = finding.facts.get("when") if finding.kind not in OVER else None
    if when is None:
        return {}
    low, high = when.began_after, when.ended_before
    return {
        "began_low": low.isoformat() if low else None,
        "began_high": when.first.isoformat(),
        "ended_low": when.last.isoformat(),
        "ended_high": high.isoformat() if high else None,
    }


def _waiting(finding: Finding) -> dict[str, Any]:
    """What the next report needs to go on waiting."""
    runs = finding.facts["runs_before"]
    return {
        "last_seen": finding.facts["last_seen"].isoformat(),
        "runs": runs.to_dict() if runs else None,
        "runs_since": finding.facts["runs_since"],
    }
