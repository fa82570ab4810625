"""Read a window through an index where the planner would scan the whole table for no good reason.

PostgreSQL prices a bitmap scan as if the rows it finds lay anywhere in the table. The log is written in the order of time, so
the rows of a window lie together and the true price is far lower; the planner does choose an index for a narrow window, but
gives it up too early: at 10 % of a table of 600,000 rows, where the index halves the time. So the planner is overruled where
three things hold: the rows do lie in the order of time, the window is a small share of them, and even by the planner's own
reckoning the index is not much dearer. In any other case it knows better.

The decision takes two EXPLAINs and a look at the statistics, a few milliseconds; it is never a reason to fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

SMALLEST_TABLE = 1_000
"""Pages (8 MB): less is read in no time."""

LARGEST_SHARE = 1 / 3
LEAST_CORRELATION = 0.9
MOST_TIMES_DEARER = 1.5

Node: TypeAlias = "Mapping[str, Any]"


def should_avoid_whole_table(explain: Callable[[bool], Node], layout: Callable[[], Mapping[str, Any]]) -> bool:
    """The window's rows are better found through an index although the planner would read everything.

    Args:
        explain: The plan of finding them; True forbids the scan of the whole table.
        layout: The row of ``sql/source/layout.sql``.
    """
    usual = explain(False)
    if not any(scans_whole_table(node) for node in plan_nodes(usual)):
        return False
    table = layout()
    if table["pages"] < SMALLEST_TABLE or table["correlation"] < LEAST_CORRELATION:
        return False
    if plan_rows(usual) > LARGEST_SHARE * table["row_estimate"]:
        return False
    other = explain(True)
    if any(scans_whole_table(node) for node in plan_nodes(other)):
        return False  # there is no index that helps
    return bool(other["Total Cost"] <= MOST_TIMES_DEARER * usual["Total Cost"])


def plan_nodes(plan: Node) -> Iterator[Node]:
    """The plan's nodes, the top one first."""
    yield plan
    for below in plan.get("Plans", []):
        yield from plan_nodes(below)


def scans_whole_table(node: Node) -> bool:
    """It reads every page, without an index."""
    return bool(node["Node Type"] == "Seq Scan")


def plan_rows(plan: Node) -> float:
    """Rows that the planner expects to come out; parts that run in parallel count as one."""
    return float(plan["Plan Rows"])
