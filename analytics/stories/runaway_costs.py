"""The league in full: every number of what each version costs and how much room it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analytics import page
from analytics.estimates import Estimate
from analytics.page import Column
from analytics.page import number as write
from analytics.page.text import Markup
from analytics.stalls import TIMES_MEDIAN
from analytics.stories.runaway_tables import stacked, strategy_cell
from analytics.unseen import REACH
from analytics.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.thresholds import Thresholds
    from analytics.page import Block


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
