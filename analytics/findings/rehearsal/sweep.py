"""One value of a program, tried at several amounts on the same logged runs: what is paid at each, and which one keeps a budget."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from analytics.errors import UsageError
from analytics.estimates.estimate import Estimate
from analytics.findings.rehearsal.lake_program import VersionProgram
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.rehearsal.rehearsed_runs import MOST_RUNS
from analytics.findings.replay.paired import total_of
from analytics.findings.replay.replay_run import wraps
from analytics.program.failing import pays_at_worst
from analytics.program.outcome import is_number
from analytics.storage.typed_json import Json
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MOST_VALUES: Final = 500
"""Values that are tried at most: each is a rehearsal."""
_SECONDS_A_DAY: Final = 86_400
_NEARLY: Final = 1e-6
"""Runs: what sums of weights differ by when nothing is missing."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What the program pays with one value.

    Attributes:
        value: That was tried.
        points: Points a day for the decided runs.
        paid: Points a day that the same runs were paid.
        difference: What it pays beyond, a day, for the decided runs.
        worst: The least and the most points a day, over all logged ok runs: undecided ones at their bounds, and those that could
            not be tried at what the program may pay at all; infinite where nothing bounds them.
        changed: Share of the decided runs that are paid otherwise.
        undecided: Share of the tried runs that cannot be decided.
        failed_count: Tried logged runs that fail.
    """

    value: Json
    points: Estimate
    paid: Estimate
    difference: Estimate
    worst: tuple[float, float]
    changed: Estimate
    undecided: Estimate
    failed_count: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Which of the tried values keep a budget.

    Attributes:
        budget: Points a day.
        value: The largest value that surely keeps it; None where none does.
        keeping, breaking: Values that surely keep it, and the others, in the order of their size.
    """

    budget: float
    value: float | None
    keeping: tuple[float, ...]
    breaking: tuple[float, ...]


class Sweep:
    """The facts of one sweep, each worked out when it is first asked for.

    Args:
        lake: The warehouse, one tenant in sight.
        program: With a value to change.
        where: The value's address.
        values: What is tried there, each once.
        since, until: Whose runs, half-open, UTC.
        most: Runs to try at most; of more, an even part is taken.

    Raises:
        UnknownNameError: Nothing has that address.
        UsageError: A value does not fit there; there is none, or too many.
    """

    def __init__(
        self,
        lake: Warehouse,
        program: VersionProgram,
        where: str,
        values: Iterable[Json],
        since: datetime,
        until: datetime,
        *,
        most: int = MOST_RUNS,
    ) -> None:
        given = list(islice(values, MOST_VALUES + 1))
        if not given or len(given) > MOST_VALUES:
            raise UsageError(
                f"a sweep tries 1 to {MOST_VALUES} values" + ("" if given else ", and there is none"),
                hint="range(10, 16) is 10 to 15",
            )
        self.program, self.where, self.since, self.until = program, where, since, until
        edited = [program.edit(where, value) for value in given]
        # 1 and True are equal to Python; as texts of JSON they are not.
        self._programs = {repr(one.changes[-1].new): one for one in edited}
        first = next(iter(self._programs.values()))
        self.first = Rehearsal(lake, program.family, first.definition, since, until, most=most)

    @cached_property
    def tried(self) -> list[Tried]:
        """What is paid at each value, in the order in which they were given."""
        found = []
        for number, program in enumerate(self._programs.values()):
            rehearsed = self.first if not number else self.first.of(program.definition)
            found.append(self._row(program.changes[-1].new, rehearsed))
        return found

    @property
    def days(self) -> float:
        """Length of the window."""
        return max(1e-9, (self.until - self.since).total_seconds() / _SECONDS_A_DAY)

    @property
    def now(self) -> Json:
        """The value that the program has."""
        return next(iter(self._programs.values())).changes[-1].old

    def within(self, budget: float) -> Kept:
        """Which values keep a budget: their cautious end, of the sampling and of what is undecided, is not above it.

        Args:
            budget: Points a day.

        Raises:
            UsageError: The values are no numbers, or the budget is none.
        """
        if not is_number(budget) or not math.isfinite(budget):
            raise UsageError(f"{budget!r} is no budget", hint="write points a day: points_per_day=50_000")
        if wrong := next((one.value for one in self.tried if not is_number(one.value)), None):
            raise UsageError(
                f"{wrong!r} is no number, and there is no largest of such values",
                hint="the table has what each of them pays",
            )
        ends = sorted((value, one.worst[1]) for one in self.tried if isinstance(value := one.value, int | float))
        keeping = tuple(value for value, end in ends if end <= budget)
        breaking = tuple(value for value, end in ends if not end <= budget)
        return Kept(budget, keeping[-1] if keeping else None, keeping, breaking)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The same as a frame. Grain: tried value; points are a day's."""
        import pandas as pd

        rows = [
            {
                "value": one.value,
                **_columns("points_per_day", one.points),
                "paid_per_day": one.paid.value,
                **_columns("difference_per_day", one.difference),
                "worst_points_per_day_low": one.worst[0],
                "worst_points_per_day_high": one.worst[1],
                **_columns("changed", one.changed),
                **_columns("undecided", one.undecided),
                "failed_count": one.failed_count,
            }
            for one in self.tried
        ]
        return pd.DataFrame(rows)

    @cached_property
    def untried_weight(self) -> float:
        """Runs behind the logged ok runs that no value could be tried on.

        Where only a part is tried, those of the versions that were not tried at all: the others' weights make up for the rest.
        """
        tried = self.first.tried
        weights = tried.rows.groupby("label")["weight"].sum()
        found = 0.0
        for version in tried.versions:
            if version.reason or not self.first.is_part:
                own = float(self.first.groups[version.label].values[1].sum())
                found += max(0.0, own - float(weights.get(version.label, 0.0)))
        return found if found > _NEARLY else 0.0

    def _row(self, value: Json, found: Rehearsal) -> Tried:
        a_day = 1 / self.days
        return Tried(
            value,
            found.would.times(a_day),
            found.paid.times(a_day),
            found.difference.times(a_day),
            self._worst(found),
            found.changed,
            found.undecided,
            sum(failure.logged_count for failure in found.failures),
        )

    def _worst(self, found: Rehearsal) -> tuple[float, float]:
        rows = found.tried.rows
        if not len(rows):
            return -math.inf, math.inf
        low, high = (
            _limit(rows[name], rows["weight"], is_upper=is_upper) for name, is_upper in (("low", False), ("high", True))
        )
        if not rows[
            "is_changed"
        ].any():  # how much more is paid where no logged run shows it: see `Rehearsal.difference`
            low, high = (
                min(low, found.paid.value + found.difference.low),
                max(high, found.paid.value + found.difference.high),
            )
        if self.untried_weight:
            program = found.program
            least, most = (-math.inf, math.inf) if wraps(program) else pays_at_worst(program.ast)
            low, high = low + self.untried_weight * least, high + self.untried_weight * most
        return low / self.days, high / self.days


def _limit(values: pd.Series, weights: pd.Series, *, is_upper: bool) -> float:
    """The cautious end of a total of what runs are paid, which is open where nothing bounds one of them."""
    if not np.isfinite(values.to_numpy(float)).all():
        return math.inf if is_upper else -math.inf
    total = total_of(values, weights)
    end = total.high if is_upper else total.low
    return end if math.isfinite(end) else math.inf if is_upper else -math.inf


def _columns(name: str, found: Estimate) -> dict[str, float | str]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high, f"{name}_grade": found.grade}
