"""What is true of a story, from every run: what a version does to its runs, what was overpaid, what groups were paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from tests.planted.story import Story


@dataclass(frozen=True, slots=True)
class Effect:
    """What one version does to its runs, against another on the same inputs.

    Attributes:
        runs: How many are the version's in the window.
        points: Paid more than the other would have; a failure is paid nothing.
        relative: The same as a share of what the other would have paid; None where it pays nothing.
        relative_ok: The same, of those runs that both pay.
    """

    runs: int
    points: float
    relative: float | None
    relative_ok: float | None


class Truths:
    """The runs of one story, asked in SQL as ``runs``, those before its window included."""

    def __init__(self, story: Story, runs: pa.Table) -> None:
        self.story = story
        self._connection = duckdb.connect()
        self._connection.register("everything", runs)
        self._connection.execute("create view runs as select *, status = 'ok' as ok from everything")

    def effect(self, version: int, earlier: int) -> Effect:
        """What a version does in the window, against an earlier one."""
        runs, points, other, ok_points, ok_other = self._one(
            f"""select count(*), sum(coalesce(paid_by[{version:d}], 0)), sum(coalesce(paid_by[{earlier:d}], 0)),
                       sum(paid_by[{version:d}]) filter ({_BOTH.format(version, earlier)}),
                       sum(paid_by[{earlier:d}]) filter ({_BOTH.format(version, earlier)})
                from runs
                where strategy_version = {version:d} and paid_by is not null and created_at >= $1 and created_at < $2""",
            self.story.since,
            self.story.until,
        )
        points, other = points or 0.0, other or 0.0
        return Effect(
            runs,
            points - other,
            (points - other) / abs(other) if other else None,
            ok_points / ok_other - 1 if ok_other else None,
        )

    def overpaid(self) -> float:
        """Points paid until the window's end beyond what would have been paid without the story; without failures."""
        [points] = self._one(
            "select sum(points - points_baseline) from runs where ok and points_baseline is not null and created_at < $1",
            self.story.until,
        )
        return float(points or 0.0)

    def relative(self, versions: frozenset[int]) -> float | None:
        """What these versions do together to their runs in the window, against the first one, as a share."""
        among = ", ".join(str(int(version)) for version in sorted(versions))
        points, other = self._one(
            f"""select sum(points), sum(points_baseline) from runs
                where ok and points_baseline is not null and strategy_version in ({among})
                  and created_at >= $1 and created_at < $2""",
            self.story.since,
            self.story.until,
        )
        return points / other - 1 if other else None

    def change(
        self, before: tuple[datetime, datetime], after: tuple[datetime, datetime], *, of_inputs: bool = False
    ) -> float | None:
        """Points per run in one span against another, as a share: all of it, or what the first version makes of the inputs."""
        paid = "points_baseline" if of_inputs else "points"
        was, now = (
            self._one(f"select avg({paid}) from runs where ok and created_at between $1 and $2", *span)[0]
            for span in (before, after)
        )
        return now / was - 1 if was and now is not None else None

    def _one(self, question: str, *values: Any) -> tuple[Any, ...]:
        row = self._connection.execute(question, values).fetchone()
        assert row is not None
        return row


_BOTH = "paid_by[{:d}] is not null and paid_by[{:d}] is not null"
