"""What changed for one strategy in a window: a version, failures, data or duration, against a baseline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from analytics.findings.asked import against
from analytics.findings.baseline import LOOK_BACK, RHYTHM, Baseline
from analytics.findings.finding import Incident
from analytics.findings.search import Search
from analytics.findings.sides import Runs, Side, paid, run_estimate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LOOK_BACK", "NO_CASE", "RHYTHM", "Incident", "Side", "find_incident", "paid", "run_estimate"]

NO_CASE = "no case"


def find_incident(
    rows: pd.DataFrame, since: datetime, until: datetime, *, baseline: Baseline | None = None
) -> Incident:
    """Compare what a window shows with what went before.

    Args:
        rows: The family's logged runs to ``until``, oldest first; ``RHYTHM`` before ``since`` is enough.
        since, until: The window in question.
        baseline: What to compare with, its rows read; the report chooses when ``None``.

    Returns:
        What matters most to the person on call: a version with other points per run, then failures that grew, then points
        that moved without a version, then slower runs; of these, what began in the window before what began in the week
        before it; the other findings in ``also``. Without any, the window against the time before.
    """
    if not len(rows) or not ((rows["created_at"] >= since) & (rows["created_at"] < until)).any():
        return Incident("nothing", None, None, None)
    search = Search(Runs.of(rows), since, until)
    if baseline is not None:
        return against(search, baseline)
    found = search.findings()
    recent: list[Incident] = []
    earlier: list[Incident] = []
    for item in found:
        (recent if item.since is None or item.since >= since else earlier).append(item)
    ordered = recent + earlier
    if not ordered:
        return search.quiet()
    first = ordered[0]
    return replace(first, also=tuple(item for item in recent if item is not first))
