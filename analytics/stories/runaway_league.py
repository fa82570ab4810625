"""The league table: who hit a limit, who is heading there, and what the others cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics import page
from analytics.estimates import Estimate
from analytics.findings.runaway import GROUPS, Finding, Key
from analytics.page import Column
from analytics.page import number as write
from analytics.page.text import Markup
from analytics.stories.runaway_programs import program_cell
from analytics.stories.runaway_tables import row_key, stacked, strategy_cell
from analytics.stories.runaway_words import TAG_ROLES, beyond, share_words
from analytics.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.thresholds import Thresholds
    from analytics.page import Block

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
