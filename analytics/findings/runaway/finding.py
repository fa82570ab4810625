"""Findings on runaway rules as plain data: a kind, a time, a number and the facts a sentence needs. No words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from analytics.estimates import comparisons, estimators
from analytics.estimates.estimators import Estimate
from analytics.findings.failures.stops import Burst, Ends, Stop, stop_count, users_of
from analytics.findings.runaway.keys import Key, key_of
from analytics.findings.runaway.program_sizes import ProgramGrowth
from analytics.findings.runaway.thresholds import Thresholds
from analytics.findings.runaway.version_growth import Ahead, Passed, VersionNodes
from analytics.warehouse.warehouse import records
from analytics.window import midnight

if TYPE_CHECKING:
    import pandas as pd

CHANCE = 0.01
"""Below this corrected probability a share of timeouts is not called chance."""
OFTEN = 0.01
"""A share of timeouts that is too many whoever else has them: the engine's own alert on failures."""
_LEAST_TIMEOUTS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a person should know.

    Attributes:
        kind: ``new``, ``worse``, ``finding`` (known, or without history to compare) or ``fixed``.
        what: ``limit``, ``canary``, ``unknown``, ``growing``, ``versions``, ``close``, ``program``, ``stall``, ``slow`` or
            ``timeout``.
        key: Which version; None when it concerns several.
        since, until: When, as far as it has a time.
        count: Logged runs, where runs are stop_count.
        number: The figure that says how much: an `Estimate`, a count, or a share.
        unit: Of the number: ``runs``, ``days``, ``nodes`` or ``of time``.
        facts: What else is known about it, by name.
    """

    kind: str
    what: str
    key: Key | None
    since: datetime | None
    until: datetime | None
    count: int | None
    number: Estimate | int | float
    unit: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def limit(
    kind: str,
    key: Key,
    own: Sequence[Burst],
    before: int,
    needed: Passed,
    size: Mapping[str, Any],
    limits: Thresholds,
    *,
    when: Ends | None = None,
    others_before: int = 0,
) -> Finding:
    """A version ran into the cap of nodes or depth.

    Args:
        kind: See `Finding`.
        key: Which version.
        own: Its bursts, oldest first.
        before: Stops of it in the history.
        needed: The runs that passed, during the bursts and at other times.
        size: ``visits_max`` and ``depth`` of its program, None where no definition is readable.
        limits: What the caps are said to be.
        when: Between which moments it began and ended, where that was asked.
        others_before: Stops of other versions of its family in the history.
    """
    count, node_cap = sum(burst.count for burst in own), limits.node_cap
    visits, depth = size["visits_max"], size["depth"]
    # What is nested too deep is stopped at any cap of nodes, so that those who pass say nothing of it.
    is_too_deep = depth is not None and depth > limits.depth_cap
    lowered = needed.fits_lowered and needed.otherwise is not None and needed.otherwise < node_cap and not is_too_deep
    fits = visits is not None and depth is not None and visits <= node_cap and depth <= limits.depth_cap
    facts = {
        "bursts": len(own), "before": before, "passed_meanwhile": needed.meanwhile, "passed_otherwise": needed.otherwise,
        "node_cap": node_cap, "may_be_lowered": lowered, "depth_cap": limits.depth_cap, "visits_max": visits, "depth": depth,
        "fits_the_caps": fits, "others_before": others_before, "when": when,
    }  # fmt: skip
    return Finding(kind, "limit", key, own[0].since, own[-1].until, count, count, "runs", facts)


def refused(
    kind: str,
    key: Key,
    own: Sequence[Burst],
    stops: Sequence[Stop],
    before: int,
    *,
    when: Ends | None = None,
    others_before: int = 0,
) -> Finding:
    """The sandbox refused what no validated program holds (``canary``), or runs failed with an ``unknown`` code."""
    count, (users, user) = stop_count(stops), users_of(stops)
    codes = sorted({stop.error_code for stop in stops if stop.error_code})
    facts = {
        "users": users,
        "user": user,
        "codes": codes,
        "before": before,
        "others_before": others_before,
        "when": when,
    }
    return Finding(kind, own[0].kind, key, own[0].since, own[-1].until, count, count, "runs", facts)


def growing(row: Mapping[str, Any], versions: Sequence[VersionNodes], next_passes: bool) -> Finding:
    """A version's nodes grow day by day and meet the cap soon.

    Args:
        row: Of the league.
        versions: Those of its family, in the order in which the log first shows them.
        next_passes: One more version that differs from it as it does from the one before would pass the cap.
    """
    key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
    facts = {
        "slope": row["est_slope"],
        "level": row["est_level"],
        "versions": _medians(versions),
        "next_passes": next_passes,
    }
    return Finding("worse", "growing", key, None, None, None, row["est_days_to_cap"], "days", facts)


def close(row: Mapping[str, Any], node_cap: float) -> Finding:
    """A version's p99 leaves little room below the cap, though no growth can be seen."""
    key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
    facts = {"p99": row["est_nodes_p99"], "node_cap": node_cap, "trend": row["trend"], "bounded_by": row["bounded_by"]}
    return Finding("finding", "close", key, None, None, None, row["est_nodes_p99"], "nodes", facts)


def versions(key: Key, chain: Sequence[VersionNodes], node_cap: float, next_passes: bool, leads: Ahead) -> Finding:
    """A family grows from version to version, and will pass the cap soon.

    Args:
        key: Its newest version.
        chain: The growing versions.
        node_cap: The engine's.
        next_passes: One more step like the last passes the cap.
        leads: Versions and days until one does, at steps like those so far.
    """
    facts = {"versions": _medians(chain), "node_cap": node_cap, "next_passes": next_passes, "ahead": leads}
    return Finding("worse", "versions", key, None, None, None, chain[-1].median, "nodes", facts)


def program(kind: str, row: Mapping[str, Any], own: ProgramGrowth, limits: Thresholds) -> Finding:
    """A program has little room below what the validator takes, none, or grows towards it: another matter than its runs.

    Args:
        kind: See `Finding`.
        row: Of the league: the version that is live.
        own: Its program and how it grew.
        limits: The engine's; its cap of nodes is also what the validator takes.
    """
    count = own.nodes[-1][1]
    facts = {
        "program": own, "node_cap": limits.node_cap, "is_close": count >= limits.close * limits.node_cap,
        "ok_logged": int(row["ok_logged_count"]), "nodes_max": row["nodes_max"], "stopped": int(row["limit_count"]),
    }  # fmt: skip
    number = Estimate(float(count), float(count), float(count), 0, "good")
    return Finding(kind, "program", own.key, None, None, None, number, "nodes", facts)


def _medians(chain: Sequence[VersionNodes]) -> list[tuple[int, float]]:
    return [(one.key.version, one.median.value) for one in chain]


def stall(burst: Burst, when: Ends) -> Finding:
    """Many strategies timed out together."""
    seconds = max(round((burst.until - burst.since).total_seconds()), 1)
    facts = {"strategies": burst.strategies, "seconds": seconds, "when": when}
    return Finding("finding", "stall", None, burst.since, burst.until, burst.count, burst.count, "runs", facts)


def slow(row: Mapping[str, Any], is_new: bool) -> Finding:
    """A version is slower than its nodes explain, or its nodes made it much slower than the version before.

    Args:
        row: Of ``Times.table``.
        is_new: Whether the version, or its slowness, was not there before the window.
    """
    key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
    names = (
        "est_ms_p50", "est_nodes_p50", "explained_ms", "verdict", "fields", "new_fields", "earlier_version", "earlier_ms_p50",
        "slow_since", "since_is_version",
    )  # fmt: skip
    kind = "new" if is_new else "finding"
    facts = {**{name: row[name] for name in names}, "blamed": row["split"].blamed}
    since = midnight(row["slow_since"]) if row["slow_since"] else None
    return Finding(kind, "slow", key, since, None, None, float(row["est_time_share"]), "of time", facts)


def timeouts(stops: Sequence[Stop], table: pd.DataFrame) -> list[Finding]:
    """Versions that time out too often, stalls set aside.

    Too often is more than a version's share of the runs explains (binomial test, corrected), or surely more than one run in a
    hundred: where all are heavy, or only one strategy runs, nobody has more than a share.
    """
    from scipy import stats

    by_key: dict[Key, list[Stop]] = {}
    single = [stop for stop in stops if stop.kind == "timeout" and not stop.stalled]
    of, versions = stop_count(single), records(table)
    all_runs = sum(row["est_runs"].value for row in versions)
    for stop in single:
        by_key.setdefault(stop.key, []).append(stop)
    rows = []
    for row in versions:
        key = key_of(row["realm_id"], row["strategy"], row["strategy_version"])
        own = by_key.get(key, [])
        # The upper end of its runs: what is left is not explained by runs the sampler happened to miss.
        part = min(row["est_runs"].high / all_runs, 1.0) if all_runs else 1.0
        if own:
            chance = float(stats.binomtest(stop_count(own), of, part, alternative="greater").pvalue)
            rows.append(
                (key, own, part, estimators.failure_rate(stop_count(own), row["est_runs"], process=True), chance)
            )
    found = []
    for (key, own, part, share, _), chance in zip(rows, comparisons.adjusted([row[4] for row in rows]), strict=True):
        count = stop_count(own)
        if count >= _LEAST_TIMEOUTS and (chance < CHANCE or share.low > OFTEN):
            times = [stop.at for stop in own if stop.at is not None]
            facts = {"of": of, "run_share_high": part, "share": share}
            first, last = (times[0], times[-1]) if times else (None, None)
            found.append(Finding("finding", "timeout", key, first, last, count, count, "runs", facts))
    return found


def fixed(stops: Sequence[Stop], runs_since: Estimate, *, is_live: bool) -> Finding:
    """A cap that was hit before the window and is not any more.

    Args:
        stops: Of one family, before the window.
        runs_since: Runs of the window in which none was stopped.
        is_live: They are runs of the version that was stopped; otherwise others of its family, and none of it is logged.
    """
    facts = {"before": stop_count(stops), "runs_since": runs_since.low, "is_live": is_live}
    return Finding("fixed", "limit", stops[-1].key, None, stops[-1].at, 0, 0, "runs", facts)
