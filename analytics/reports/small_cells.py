"""What a report may show of few people: nothing that rests on fewer users than it was told to protect.

Counts of users are those of the log, a sample: a cell that is left out may have more users than were logged, one that is shown has
never fewer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from analytics import sql
from analytics.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse.warehouse import Warehouse

_USER = "external_user_id"


class SmallCells:
    """The rule of one report.

    Args:
        least: Users that a cell must rest on; 1 where everything may be shown.
    """

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def __bool__(self) -> bool:
        return self.least > 1

    def refuse(self, sides: Iterable[pd.DataFrame]) -> None:
        """Make no report of fewer people.

        Args:
            sides: Rows of the window, and of both sides of its comparison.

        Raises:
            UsageError: One of them rests on too few users.
        """
        if self and any(len(rows) and rows[_USER].nunique() < self.least for rows in sides):
            raise UsageError(
                f"fewer than {self.least} users are logged of what this report would compare, so it is not made",
                hint="a longer window, another --baseline, or a smaller --min-users for readers who may see more",
            )

    def without_few(self, lake: Warehouse, start: datetime, since: datetime, until: datetime) -> Warehouse:
        """The lake without the versions of which too few users were logged in a window, or before it where none ran in it.

        Args:
            lake: Where.
            start, since, until: Of the history, and of the window, UTC.
        """
        if not self:
            return lake
        values = {"least": self.least, "start": start, "since": since, "until": until}
        statement = sql.text("people", "small_versions")
        few = lake.ask(lambda: lake.connection.sql(statement, params=values).to_arrow_table())
        return lake.excluding(few)

    def hidden(self, names: pd.Series[str], users: pd.Series[str]) -> frozenset[str]:
        """The groups that rest on too few users; where it is one, another with it, or the total would tell.

        Args:
            names: Of each row's group.
            users: Of each row, from the same frame; missing ones count as nobody.
        """
        if not self or names.empty:
            return frozenset()
        counted = users.groupby(names.astype(str)).nunique().sort_values(kind="stable")
        few = counted[counted < self.least]
        if len(few) == 1 and len(counted) > 1:
            few = counted.iloc[:2]
        return frozenset(map(str, few.index))

    def steady(self, rows: pd.DataFrame, step: str) -> pd.DataFrame:
        """The rows of the spans of time in which enough users were logged; none of the others, so that no sum is half.

        Args:
            rows: Of one strategy.
            step: Length of a span, as pandas spells it.
        """
        if not self or rows.empty:
            return rows
        return rows[rows.groupby(rows["created_at"].dt.floor(step))[_USER].transform("nunique") >= self.least]

    def count(self, users: int) -> str:
        """A number of users, as exactly as it may be said."""
        return f"< {self.least}" if self and users < self.least else f"≥ {users:,}"

    @property
    def note(self) -> str:
        """For the reader; empty where nothing is left out."""
        return f"To be passed on: what fewer than {self.least} logged users did is left out." if self else ""
