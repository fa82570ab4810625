"""A report on runaway rules by many processes: what it will ask of the runs, and one share of that.

There is no scheduler here: GNU make, an indexed job or a workflow engine starts the shares, each a command of its own, and the
report when they are done.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from analytics.errors import UsageError
from analytics.findings.runaway.run_costs import DIGITS, MOST_EXACT, PICTURE_DIGITS
from analytics.findings.runaway.trend import HISTORY
from analytics.storage import LakePath
from analytics.warehouse.partial_results import PartialQuery, compute_share
from analytics.warehouse.warehouse import Warehouse
from analytics.window import ONE_DAY, Window

AUDITED_BEFORE = timedelta(days=7)
"""Before a window, whose sampling is audited with it: a day alone does not show that the rate has changed."""

_OF_HISTORY = (
    "cost_by_strategy", "nodes_by_day", "time_by_nodes", "stops_by_minute", "limit_runs", "sampling_by_hour", "dead_rules",
    "arrivals_by_minute",
)  # fmt: skip
_OF_WINDOW = ("hot_nodes",)


def questions(lake: Warehouse, window: Window) -> list[PartialQuery]:
    """First halves of the queries that a report on runaway rules asks of a window and its history.

    Args:
        lake: An open lake.
        window: Of the report. A day that it cuts is left to whoever renders.
    """
    first, until = (window.since + ONE_DAY - timedelta(microseconds=1)).date(), window.until.date()
    start = min(first - AUDITED_BEFORE, until - HISTORY)
    found = [PartialQuery(name, start, until, {}) for name in _OF_HISTORY]
    found += [PartialQuery(name, first, until, {}) for name in _OF_WINDOW]
    for begin, end in ((until - HISTORY, first), (first, until)):
        if _logged(lake, begin, end) > MOST_EXACT:
            found.append(PartialQuery("run_costs", begin, end, {"digits": PICTURE_DIGITS}))
            found.append(PartialQuery("run_times", begin, end, {"digits": DIGITS}))
        elif begin < end:
            found.append(PartialQuery("run_costs", begin, end, {"digits": None}))
    return found


def gather_share(
    lake: Warehouse,
    window: Window,
    into: LakePath,
    share: int,
    shares: int,
    progress: Callable[[PartialQuery, LakePath | None], None] | None = None,
) -> list[LakePath]:
    """One share of what a report on runaway rules will ask.

    Args:
        lake: An open lake, with the tenants in sight that the report will have.
        window: Of the report.
        into: Folder, or ``s3://bucket/prefix``, that the report is told.
        share, shares: Which of how many, from 1.
        progress: Told of each question, and of the file that holds its answer.

    Returns:
        The files that were written; none for a share without files.

    Raises:
        UsageError: There is no such share; or the lake's runs are weighed otherwise, or of some versions only.
        LakeError: The folder cannot be written.
    """
    if not 1 <= share <= shares:
        raise UsageError(
            f"there is no share {share} of {shares}", hint="shares count from 1: --share 1/4 … --share 4/4"
        )
    written = []
    for question in questions(lake, window):
        made = compute_share(lake, question, into, share=share, shares=shares)
        if progress:
            progress(question, made)
        if made is not None:
            written.append(made)
    return written


def _logged(lake: Warehouse, since: date, until: date) -> int:
    """Logged runs of some days, as the ledger has them."""
    return sum(
        info.row_count
        for record in lake.records()
        if record.day is not None and since <= record.day < until
        for realm, info in record.partitions.items()
        if lake.visible_realms is None or realm in lake.visible_realms
    )
