"""The league table: who hit a limit, who is heading there, and what each costs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics.estimates.estimate import REACH
from analytics.estimates.estimators import Estimate
from analytics.estimates.stalls import TIMES_MEDIAN
from analytics.findings.runaway.runaway import GROUPS, Burst, Finding, Key, key_of
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.page import Column
from analytics.reports.page import number as write
from analytics.reports.page.inline import Inline, Markup
from analytics.reports.runaway.finding_sentences import runs
from analytics.reports.runaway.wording import TAG_ROLES, beyond, program_cell, share_words, version_name
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.runaway.thresholds import Thresholds
    from analytics.reports.page import Block


def row_key(row: Mapping[str, Any]) -> Key:
    """The version a row speaks of."""
    return key_of(row["realm_id"], row["strategy"], row["strategy_version"])


def of_versions(frame: pd.DataFrame, keys: Collection[Key]) -> pd.DataFrame:
    """The rows of versions that ran in the window: retired ones are nobody's work any more."""
    return frame.loc[[index for index, row in zip(frame.index, records(frame), strict=True) if row_key(row) in keys]]


def strategy_cell(row: Mapping[str, Any], tags: Sequence[str] = ()) -> Markup:
    """Name, version, tags, and the realm below."""
    marks = Markup("").join(Markup(" {}").format(page.tag(tag)) for tag in tags)
    family = row.get("family_name", row["strategy"])
    realm = page.author(realm_name(row_key(row).realm), 40)
    return Markup("{}{}<small>{}</small>").format(version_name(row_key(row), family), marks, realm)


def stacked(estimate: Estimate) -> Markup:
    """An estimate over two lines, as narrow columns need it."""
    value = write.number(estimate.value, estimate.low, estimate.high)
    bounds = write.bounds(estimate.value, estimate.low, estimate.high)
    return Markup('{}<br><span class="ci">{}</span>').format(value, bounds)


def burst_table(found: Sequence[Burst]) -> Block:
    """Bursts, each with who and when; strategies named, users only counted."""
    kinds = {
        "limit": "limit",
        "canary": "canary",
        "unknown": "unknown code",
        "stall": "stall, likely",
        "timeout": "timeout",
    }
    rows = [
        {
            "kind": kinds[burst.kind],
            "what": _burst_name(burst),
            "when": write.span(burst.since, burst.until) if burst.until > burst.since else write.when(burst.since),
            "runs": burst.count,
            "users": burst.users,
        }
        for burst in found
    ]
    columns = [
        Column("what", "Burst", role="name"),
        Column("kind", "kind"),
        Column("when", "when, UTC"),
        Column("runs", "runs, logged", kind="count"),
        Column("users", "users in the log", kind="count"),
    ]
    return page.table(rows, columns, empty="No bursts.")


def _burst_name(burst: Burst) -> Inline:
    if burst.key is None:
        return Markup("<b>{} strategies</b><small>no rule is named</small>").format(burst.strategies)
    return Markup("{}<small>{}</small>").format(version_name(burst.key), page.author(realm_name(burst.key.realm), 40))


def silent_words(keys: Sequence[Key], bound: float) -> Inline:
    """Strategies without a logged run, and how many runs that leaves room for."""
    named = Markup(", ").join(
        Markup("{} ({})").format(version_name(key), page.author(realm_name(key.realm), 40)) for key in keys[:5]
    )
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return [
        "Published, and nothing logged: ",
        named,
        more,
        f". Each at most {runs(bound)} (95 %): of more the sampler had probably drawn one.",
    ]


def cost_table(table: pd.DataFrame, limits: Thresholds) -> Block:
    """Time and nodes in all and per run, how uneven the runs are, and the room below each limit; in the league's order."""
    rows = [
        {
            "rank": rank,
            "strategy": strategy_cell(row),
            "time": _seconds(row["est_total_ms"]),
            "time_share": _percent(row["time_share"]),
            "ms": stacked(row["est_ms_mean"]),
            "stalls": _stalls(row["unseen_stalls"]),
            "spread": None if row["ms_dispersion"] is None else write.number(float(f"{row['ms_dispersion']:.2g}")),
            "nodes": stacked(row["est_nodes_mean"]),
            "node_share": _percent(row["node_share"]),
            "room": _room(row, limits),
        }
        for rank, row in enumerate(records(table), 1)
    ]
    columns = [
        Column("rank", role="rank"),
        Column("strategy", "Strategy", role="name"),
        Column("time", "seconds in all, est.", align="right"),
        Column("time_share", "share of time, est.", align="right"),
        Column("ms", "ms per run, est.", align="right"),
        Column("stalls", "unseen stalls may add", align="right"),
        Column("spread", "variance / mean, ms", align="right"),
        Column("nodes", "nodes per ok run, est.", align="right"),
        Column("node_share", "share of nodes, est.", align="right"),
        Column("room", "room: nodes · time · depth · program", align="right"),
    ]
    return page.table(rows, columns, empty="No run logged in this window.")


def depth_words(table: pd.DataFrame, depth_cap: float) -> str | None:
    """How deep the deepest program is nested; None where no definition is readable."""
    known = [int(row["depth"]) for row in records(table) if row["depth"] is not None]
    if not known:
        return None
    deepest = max(known)
    if deepest > depth_cap:
        return f"Depth: {sum(depth > depth_cap for depth in known)} nested deeper than the cap of {depth_cap:g}."
    some = "" if len(known) == len(table) else f" {len(known)} of {len(table)} programs can be read."
    return f"Depth: nobody above {deepest} of {depth_cap:g}.{some}"


def stall_words(table: pd.DataFrame) -> str:
    """What a stall is, how many the log holds, and what the intervals of time allow for."""
    rows = records(table)
    stalled, ok = (sum(int(row[name] or 0) for row in rows) for name in ("stalled_count", "ok_logged_count"))
    seen = f"none of {write.count(ok)} logged ok runs is one"
    if stalled:
        are = "is one" if stalled == 1 else "are"
        seen = f"{write.count(stalled)} of {write.count(ok)} logged ok runs {are} (one in {write.number(ok / stalled)})"
    return (
        f"A stall is a run of more than {TIMES_MEDIAN:g} times the median of its version; {seen}. A sample holds few or none, and "
        "one weighs much, so intervals of time allow for those that were not drawn: as often and as long as stalls are in the log, "
        f"and one of {REACH:g} times the mean that nobody saw. How much of the time per run that is at most, stands beside it."
    )


def _stalls(part: float | None) -> str:
    """Up to so much more, as a share of the time per run."""
    return "?" if part is None else f"+{write.percent(float(f'{part:.2g}'))}" if part else "0"


def _seconds(total: Estimate) -> Markup:
    parts = [part / 1000 for part in (total.value, total.low, total.high)]
    return Markup('{}<br><span class="ci">{}</span>').format(write.number(*parts), write.bounds(*parts))


def _percent(share: Estimate) -> Markup:
    bounds = write.bounds(share.value * 100, share.low * 100, share.high * 100)
    return Markup('{}<br><span class="ci">{}</span>').format(write.percent(share.value, share.low, share.high), bounds)


def _room(row: dict[str, Any], limits: Thresholds) -> str:
    """What is left below the caps of nodes and time at p99, of depth, and of the program at the validator; in percent of each."""
    depth = None if row["depth"] is None else 1 - row["depth"] / limits.depth_cap
    parts = (row["headroom"], row["time_headroom"], depth, row["ast_headroom"])
    return " · ".join("?" if part is None else write.percent(round(max(part, 0.0), 2)) for part in parts)


MOST = 12
"""Rows of strategies that are neither stopped nor growing before the rest is folded away."""

_TITLES = {
    GROUPS[0]: "Hit a limit",
    GROUPS[1]: "Heading for the cap",
    GROUPS[2]: "Close to the cap",
    GROUPS[3]: "Runs are far from the cap, the program is close to what the validator takes",
    GROUPS[-1]: "Not growing, by share of total time",
}


def league_table(table: pd.DataFrame, found: Sequence[Finding], limits: Thresholds) -> tuple[Block, Block | None]:
    """The league, and what of it is folded away."""
    tags: dict[Key, list[str]] = {}
    for finding in found:
        # A canary says something about a caller, not about how near the rules are to a limit; an unknown code nothing of it.
        untold = finding.kind not in TAG_ROLES or finding.what in ("canary", "unknown")
        if finding.key is not None and not untold and finding.kind not in tags.get(finding.key, []):
            tags.setdefault(finding.key, []).append(finding.kind)
    most = max([float(row["est_time_share"]) for row in records(table)], default=1.0) or 1.0
    rows = [
        _league_row(rank, row, tags.get(row_key(row), []), most, limits) for rank, row in enumerate(records(table), 1)
    ]
    ahead = [row for row in rows if row["urgent"]]
    rest = [row for row in rows if not row["urgent"]]
    columns = [
        Column("rank", role="rank"),
        Column("strategy", "Strategy", role="name"),
        Column("time", "share of time, est."),
        Column("runs", "runs, estimated", align="right"),
        Column("nodes", f"nodes, est. p50 – p99, cap {write.count(limits.node_cap)}"),
        Column("ms", f"ms, est. p50 – p99, limit {write.count(limits.time_limit_ms)}"),
        Column("program", f"program, of {write.count(limits.node_cap)}", align="right"),
        Column("stopped", "P(limit)", align="right"),
        Column("days", "days to cap", align="right"),
    ]
    first = page.table([*ahead, *rest[:MOST]], columns, group="group", empty="No run logged in this window.")
    return first, page.table(rest[MOST:], columns) if len(rest) > MOST else None


def _league_row(rank: int, row: Mapping[str, Any], tags: list[str], most: float, limits: Thresholds) -> dict[str, Any]:
    hit, heading = row["group"] == GROUPS[0], row["group"] == GROUPS[1]
    role = "finding" if hit else "worse" if row["group"] in GROUPS[1:3] else None
    nodes50, nodes99, ms50, ms99 = (row[f"est_{name}"] for name in ("nodes_p50", "nodes_p99", "ms_p50", "ms_p99"))
    share = float(row["est_time_share"])
    return {
        "rank": Markup('<span class="nb">{}</span>').format(rank),
        "urgent": row["group"] != GROUPS[-1],
        "group": _TITLES[row["group"]],
        "strategy": strategy_cell(row, tags),
        "time": page.share_bar(share, write.percent(round(share, 2)) if share >= 0.005 else "< 1\u00a0%", most),
        "runs": stacked(row["est_runs"]),
        "nodes": _bar(nodes50, nodes99, limits.node_cap, role),
        "ms": _bar(ms50, ms99, limits.time_limit_ms, None),
        "program": program_cell(row, limits),
        "stopped": share_words(row["limit_share"]),
        "days": page.finding("at the cap") if hit else _with_versions(_days(row, heading), row["est_versions_to_cap"]),
    }


def _bar(p50: Estimate, p99: Estimate, limit: float, role: str | None) -> Markup:
    if math.isnan(p50.value):
        return page.mute("unknown")
    # A bar that ends at the limit: what was stopped there needed at least as much.
    ends = [limit if part.is_at_least else part.value for part in (p50, p99)]
    return page.headroom(ends[0], ends[1], limit, role, beyond(p50, p99))


def _with_versions(days: Markup, versions: Estimate) -> Markup:
    """Days to the cap, and below them versions to it, where runs grow by versions and an end can be told."""
    if not versions.high < math.inf:
        return days
    ends = f" [{write.between(versions.low, versions.high)}]" if versions.high > versions.low else ""
    told = f"{write.count(versions.value)} {'version' if versions.value == 1 else 'versions'}{ends}"
    return Markup('{}<br><span class="ci">{}</span>').format(days, told)


def _days(row: Mapping[str, Any], heading: bool) -> Markup:
    days, trend = row["est_days_to_cap"], row["trend"]
    if trend == "bounded":
        return Markup('{}<br><span class="ci">at most {} nodes</span>').format(
            page.mute("cannot reach it"), write.count(row["bounded_by"])
        )
    if trend not in ("growing", "cannot tell"):
        return page.mute(trend)
    if days.high < math.inf:
        value, below = (
            write.number(days.value, days.low, days.high, unit="days"),
            write.bounds(days.value, days.low, days.high),
        )
    elif days.low >= 0.5:
        value, below = write.at_least(days.low, unit="days"), "" if trend == "growing" else trend
    else:
        return page.worse(trend) if heading else page.mute(trend)
    shown = page.worse(value) if heading else page.inline(value) if trend == "growing" else page.mute(value)
    return Markup('{}<br><span class="ci">{}</span>').format(shown, below) if below else shown
