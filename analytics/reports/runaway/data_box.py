"""What the runaway report rests on: coverage, sampling, what was set aside, thresholds; and its facts for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from analytics import sql
from analytics.estimates.estimators import upper_bound_of_none
from analytics.findings.failures.stops import Ends, stop_count
from analytics.findings.runaway.finding import (
    Finding,
    LimitHits,
    SandboxCanary,
    StalledLoop,
    Status,
    UnknownCode,
    Waiting,
)
from analytics.findings.runaway.run_costs import DIGITS, logged
from analytics.findings.runaway.runaway import HISTORY, Evidence
from analytics.lake import shell
from analytics.reports import commands, log_notes, missing_days, page
from analytics.reports.common import realm_name
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import sentence
from analytics.reports.runaway.wording import plain_number
from analytics.warehouse.coverage import Coverage, coverage
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.findings.failures.silences import Silences
    from analytics.findings.runaway.previous_report import Previous
    from analytics.findings.runaway.ranking import RankingRow
    from analytics.findings.runaway.thresholds import Thresholds
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
_RANKING_FACTS = (
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
    words = write.counted(named, "realm")
    return f"{words} and runs without one" if named < len(realms) else words


def complete_words(lake: Warehouse, since: datetime, until: datetime) -> str:
    """One clause: is the log complete for the window?"""
    found = coverage(lake, Window(since, until))
    partial, complete_until, days = found.partial, found.complete_until, len(Window(since, until).days)
    gone = f"log lost in the lake for {len(found.lost)} of {days} days" if found.lost else ""
    ahead = f"{len(found.to_come)} of {days} days still to come" if found.to_come else ""
    if found.never:
        never = f"log not extracted for {len(found.never)} of {days} days{found.of_them_expired}"
        return "; ".join(filter(None, [never, gone, ahead]))
    if gone:
        return f"{gone}; {ahead}" if ahead else gone
    if partial:
        return f"log complete up to {write.when(complete_until)}" if complete_until else "log not complete yet"
    return ahead or "log complete for the window"


def warning(lake: Warehouse, since: datetime, until: datetime) -> str | None:
    """What belongs above everything else: counts of an incomplete log are too low."""
    found = coverage(lake, Window(since, until))
    missing, partial, complete_until = found.never, found.partial, found.complete_until
    gaps = [f"lost in the lake for {', '.join(map(write.day, found.lost[:3]))}{' …' * (len(found.lost) > 3)}"] * bool(
        found.lost
    )
    if missing:
        days = ", ".join(write.day(day) for day in missing[:3]) + (" …" if len(missing) > 3 else "")
        gaps.append(f"not extracted: {days}{found.of_them_expired}")
    if partial:
        gaps.append(f"complete only up to {write.when(complete_until)}" if complete_until else "not complete yet")
    return f"The log is {' and '.join(gaps)}. Counts may be too low." if gaps else None


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
    held = coverage(lake, Window(evidence.since, evidence.until))
    look_back = f"trends and comparisons look {HISTORY.days} days back from its end"
    extent = log_notes.gaps(log_notes.extent(held), silences)
    rates = " and ".join(write.percent(rate) for rate in held.sample_rates) or "An unknown share"
    return [
        ("Window", f"{write.span(evidence.since, evidence.until)}, {extent}; {look_back}"),
        ("Rows used", _rows_used(evidence)),
        (
            "Sampling rate",
            f"{rates} of ok runs, as configured at extraction; failures are all kept. The log does not store the rate. {sampling}",
        ),
        ("Set aside", _set_aside(evidence)),
        ("Timeouts", _timeouts(evidence)),
        ("Traces", _traces(evidence)),
        ("Definitions", f"{log_notes.programs(lake)}{_definitions(evidence)}"),
        *_limits(evidence.thresholds),
        ("Compared with", compared_words(previous)),
        (
            "Not known",
            "Rows the database refused, the queue dropped or a kill lost; query times of analytics fields; nodes of runs that "
            f"timed out. {log_notes.not_looked_for()}",
        ),
    ]


def _rows_used(evidence: Evidence) -> str:
    counts = [row.counts for row in evidence.ranking]
    ok, failed = sum(one.ok for one in counts), sum(one.failed for one in counts)
    limit, canary = sum(one.limit for one in counts), sum(one.canary for one in counts)
    timeout, unknown = sum(one.timeout for one in counts), sum(one.unknown_code for one in counts)
    named = [f"{limit} limit", f"{canary} canary", f"{timeout} timeout", *[f"{unknown} unknown code"] * bool(unknown)]
    failures = ", ".join([*named, f"{failed - limit - canary - timeout - unknown} other"])
    runs = sum(row.est_runs.value for row in evidence.ranking)
    return (
        f"{write.counted(ok, 'ok row')} and {write.counted(failed, 'failure')} ({failures}), for an estimated "
        f"{write.number(runs) if math.isfinite(runs) else 'unknown number of'} {'run' if runs == 1 else 'runs'}"
    )


def _set_aside(evidence: Evidence) -> str:
    costs = evidence.costs.together
    cancelled = logged(costs[(costs["status"] == "ok") & costs["nodes_executed"].isna()])
    rounded = f" In so large a window durations are rounded to {DIGITS} digits." if evidence.costs.is_rounded else ""
    return (
        f"{write.counted(cancelled, 'cancelled call')} (ok, no points, no trace), whose nodes are not known. "
        "Failed runs log 0 nodes and never enter a quantile; stopped runs count as beyond the limit. For the share of time, a "
        f"run above 10 s counts as 10 s.{rounded}"
    )


def _timeouts(evidence: Evidence) -> str:
    count = sum(row.counts.timeout for row in evidence.ranking)
    if not count:
        return "none logged"
    stalled = stop_count(stop for stop in evidence.stops if stop.stalled)
    return (
        f"{stalled} of {count} lie closer together than those of unrelated strategies would (three or more "
        "within two minutes, such moments at most ten minutes apart): taken for a stalled event loop, counted against no rule"
    )


def _traces(evidence: Evidence) -> str:
    cut, ok = sum(row.counts.cut for row in evidence.ranking), sum(row.counts.ok for row in evidence.ranking)
    if not ok:
        return "no ok row is logged"
    return f"{write.count(cut)} of {write.counted(ok, 'ok row')} cut at the storage limit; node counts are whole, entries are not"


def _definitions(evidence: Evidence) -> str:
    undefined = sum(row.family_name is None for row in evidence.ranking)
    if not undefined:
        return "all readable"
    return f"missing for {undefined} of {len(evidence.ranking)} strategies: those go by their id"


def _limits(limits: Thresholds) -> list[tuple[Inline, Inline]]:
    return [
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
    ]


def queries(lake: Warehouse, since: datetime, until: datetime) -> str:
    """The SQL behind the page, ready for ``strategy-analytics query``."""
    is_of_one = lake.is_scoped and len(lake.realms) == 1
    whose = shell.realm(lake.realms[0]) if is_of_one else "--all-realms"
    shown = [
        f"-- {commands.query(name, whose, since, until)}\n{sql.text('queries', name).strip()}" for name in _QUERIES
    ]
    return "\n\n".join(shown)


def held(lake: Warehouse, since: datetime, until: datetime) -> Coverage:
    """How much of the window the lake holds."""
    return coverage(lake, Window(since, until))


def not_seen(held: Coverage) -> str:
    """What a sentence that says "nothing" has not looked at; empty where it has looked at all of the window."""
    return missing_days.counted(held)


def summary(evidence: Evidence, found: Sequence[Finding], previous: Previous | None) -> dict[str, object]:
    """The report's facts as plain JSON values: what is unknown is null."""
    return {
        "report": "runaway_rules",
        "since": evidence.since.isoformat(),
        "until": evidence.until.isoformat(),
        "thresholds": asdict(evidence.thresholds),
        "compared_with": previous and {"since": previous.since.isoformat(), "until": previous.until.isoformat()},
        "counts": counts_of(found),
        "findings": [finding_facts(finding) for finding in found],
        "league": [_ranking_facts(row) for row in evidence.ranking],
    }


def counts_of(found: Sequence[Finding]) -> dict[str, int]:
    """How many findings have each status."""
    return {status.value: sum(finding.status is status for finding in found) for status in Status}


def _ranking_facts(row: RankingRow) -> dict[str, object]:
    columns, key = row.as_columns(), row.key
    return {
        "realm": key.realm,
        "family": key.strategy,
        "version": key.version,
        **{name: plain_number(columns[name]) for name in _RANKING_FACTS},
    }


def finding_facts(finding: Finding) -> dict[str, object]:
    """A finding as plain JSON values: the one place that spells its keys."""
    key = finding.key
    return {
        "kind": finding.status.value,
        "what": finding.type.value,
        "realm": key.realm if key else None,
        "family": key.strategy if key else None,
        "version": key.version if key else None,
        "since": finding.since.isoformat() if finding.since else None,
        "until": finding.until.isoformat() if finding.until else None,
        "count": finding.count,
        "number": plain_number(finding.number),
        "unit": str(finding.unit),
        **_ends_facts(finding),
        **({"waiting": _waiting_facts(finding)} if isinstance(finding, Waiting) else {}),
        # The page's sentence without its markup: user ids are masked in both.
        "sentence": str(sentence(finding).striptags()),
    }


def _ends_facts(finding: Finding) -> dict[str, str | None]:
    """Between which moments it began and ended (95 %), where its runs tell; null is not known, or not ended."""
    ends: Ends | None = None
    if isinstance(finding, StalledLoop):
        ends = finding.ends
    elif isinstance(finding, LimitHits | SandboxCanary | UnknownCode):
        ends = finding.past.ends
    if ends is None:
        return {}
    low, high = ends.began_after, ends.ended_before
    return {
        "began_low": low.isoformat() if low else None,
        "began_high": ends.first.isoformat(),
        "ended_low": ends.last.isoformat(),
        "ended_high": high.isoformat() if high else None,
    }


def _waiting_facts(finding: Waiting) -> dict[str, object]:
    """What the next report needs to go on waiting."""
    return {
        "last_seen": finding.last_seen.isoformat(),
        "runs": finding.runs_before.to_dict() if finding.runs_before else None,
        "runs_since": finding.runs_since,
    }
