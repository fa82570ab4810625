"""What of a rehearsal may be shown: nothing that rests on fewer users than it was told to protect."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analytics.findings.rehearsal.drift import Drift
    from analytics.findings.rehearsal.parts import PredictedFailure, Totals, Unknown
    from analytics.findings.rehearsal.rehearsal import Rehearsal
    from analytics.findings.rehearsal.user_groups import UserGroup
    from analytics.reports.small_cells import SmallCells

SOME = "some"
"""In place of a count that rests on few users."""


class VisibleFacts:
    """The facts that name a part of the runs, without parts of few users.

    Args:
        found: All facts.
        small: What may be shown of few users.
    """

    def __init__(self, found: Rehearsal, small: SmallCells) -> None:
        self.found, self.small = found, small

    @cached_property
    def failures(self) -> list[PredictedFailure]:
        """Codes that a draft fails with."""
        rows = self.found.tried.rows
        failing = rows[rows["code"].notna()]
        hidden = self.small.hidden(failing["code"].astype(object), failing["external_user_id"])
        return [failure for failure in self.found.failures if failure.code not in hidden]

    @cached_property
    def unknown(self) -> list[Unknown]:
        """What undecided runs lack."""
        rows = self.found.tried.rows
        open_ = rows[rows["missing"].notna().to_numpy(bool)]
        hidden = self.small.hidden(open_["missing"].astype(object).fillna(""), open_["external_user_id"])
        return [unknown for unknown in self.found.unknown if unknown.reason not in hidden]

    @cached_property
    def _hidden_days(self) -> frozenset[str]:
        rows = self.found.tried.rows
        rows = rows[rows["is_decided"].to_numpy(bool)]
        if not self.small or rows.empty:
            return frozenset()
        return self.small.hidden(rows["created_at"].dt.date.astype(str), rows["external_user_id"])

    @cached_property
    def days(self) -> list[Totals]:
        """Days of the window."""
        return [day for day in self.found.days if str(day.name) not in self._hidden_days]

    @cached_property
    def drift(self) -> Drift | None:
        """The difference day by day; None where a day is left out: what is said of all days would tell of it."""
        return None if self._hidden_days else self.found.drift

    @cached_property
    def user_groups(self) -> list[UserGroup]:
        """Groups of users; none at all where one is too small, for the others would tell it."""
        groups = self.found.user_groups
        is_few = self.small and any(group.user_count < self.small.least for group in groups)
        return [] if is_few else groups

    def count(self, inside: npt.ArrayLike, rows: pd.DataFrame | None = None) -> str:
        """How many of the rows these are; in words where few users stand behind them.

        Args:
            inside: True for those that are counted.
            rows: Tried runs, when not given.
        """
        part = (self.found.tried.rows if rows is None else rows)[inside]
        if self.small and len(part) and part["external_user_id"].nunique() < self.small.least:
            return SOME
        return f"{len(part):,}"

    @cached_property
    def failing(self) -> str:
        """How many tried runs would fail."""
        return self.count(self.found.tried.rows["code"].notna().to_numpy(bool))

    @cached_property
    def failed(self) -> str:
        """How many logged failures left no input."""
        rows = self.found.logged
        return self.count((rows["status"] != "ok").to_numpy(bool), rows)
