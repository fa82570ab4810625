"""Nodes and milliseconds of a window's runs as counts of equal rows: of ten million runs some hundred thousand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse import Warehouse

MOST_EXACT = 200_000
"""Logged runs of a window up to which no duration is rounded."""
DIGITS = 3
"""Significant digits of durations in larger windows: a quantile moves by 0.5 % at most, by 0.1 % as a rule."""
PICTURE_DIGITS = 2
"""The same where nodes stand beside them: a cell of the picture is larger."""


@dataclass(frozen=True, slots=True)
class RunCosts:
    """Costs of logged runs that say something about them.

    Attributes:
        together: Nodes beside milliseconds; grain of the query run_costs.
        times: Milliseconds alone, with more digits; grain of the query run_times. The same frame where nothing is rounded.
        is_rounded: The window is so large that durations are rounded.
    """

    together: pd.DataFrame
    times: pd.DataFrame
    is_rounded: bool


def run_costs(lake: Warehouse, since: datetime, until: datetime, *, most_exact: int = MOST_EXACT) -> RunCosts:
    """Ask for the costs of a window.

    Args:
        lake: Where the runs are.
        since, until: The window, UTC.
        most_exact: Logged runs from which on durations are rounded.
    """
    found = lake.sql(
        "select count(*) from executions where day >= $since::timestamptz::date and created_at >= $since::timestamptz "
        "   and day <= $until::timestamptz::date and created_at < $until::timestamptz",
        since=since, until=until,
    ).fetchall()  # fmt: skip
    if found[0][0] <= most_exact:
        exact = lake.run("run_costs", since=since, until=until)
        return RunCosts(exact, exact, is_rounded=False)
    together = lake.run("run_costs", since=since, until=until, digits=PICTURE_DIGITS)
    return RunCosts(together, lake.run("run_times", since=since, until=until, digits=DIGITS), is_rounded=True)


def weights(rows: pd.DataFrame) -> pd.Series[float]:
    """Runs that the rows stand for; NaN where the weight is unknown."""
    return rows["sample_weight"].astype(float) * rows["logged_count"]


def logged(rows: pd.DataFrame) -> int:
    """Logged runs behind the rows."""
    return int(rows["logged_count"].sum()) if len(rows) else 0
