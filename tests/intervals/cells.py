"""Many logs of every cell: how often the truth lies in the interval, how wide it is, and what the naive one does."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import numpy as np

from tests.intervals import fleets, rare
from tests.intervals.fleets import FleetCell
from tests.intervals.logs import Cell, Checked, check
from tests.intervals.rare import UNKNOWN, RareCell

RATES = (0.01, 0.05, 0.2, 1.0)
RUNS = (20, 60, 200, 1000, 5000, 20_000)
FAILING = (0.0, 0.01, 0.1, 0.5)
LOGS = 1000
NOMINAL = (0.93, 0.99)
"""What an interval of nominally 95 % has to cover, at least and at most."""


_ENOUGH = 500
"""Logs: of fewer, all may be covered by chance."""
_COUNTED = 40
"""Graded versions of a kind of fleet: of fewer nothing is said."""


@dataclass(slots=True)
class Tally:
    """What became of one estimator in one cell.

    Attributes:
        cell, name: Which.
        grades: How many logs got which grade.
        hits: Of the logs graded good or rough, those whose interval holds the truth.
        exact: Those whose interval has no width.
        at_least: Those whose number is a lower bound.
        widths: Of the graded.
        naive_hits: Of all logs.
        naive_widths: Of the graded.
    """

    cell: Cell | FleetCell
    name: str
    grades: Counter[str] = field(default_factory=Counter)
    hits: int = 0
    exact: int = 0
    at_least: int = 0
    widths: list[float] = field(default_factory=list)
    naive_hits: int = 0
    naive_widths: list[float] = field(default_factory=list)

    def add(self, one: Checked) -> None:
        """Count one log."""
        self.grades[one.estimate.grade] += 1
        self.naive_hits += one.is_covered_by_naive
        if one.estimate.grade == "too few":
            return
        self.hits += one.is_covered
        self.exact += one.is_exact
        self.at_least += one.estimate.is_at_least
        if not one.estimate.is_at_least:
            self.widths.append(one.estimate.high - one.estimate.low)
        self.naive_widths.append(one.naive[1] - one.naive[0])

    @property
    def logs(self) -> int:
        """All of them."""
        return self.grades.total()

    @property
    def graded(self) -> int:
        """Those graded good or rough."""
        return self.logs - self.grades["too few"]

    @property
    def is_graded(self) -> bool:
        """Most logs of the cell are; of versions of very different size, enough to count."""
        return self.graded >= _COUNTED if isinstance(self.cell, FleetCell) else self.graded * 2 >= self.logs

    @property
    def grade(self) -> str:
        """What most logs got."""
        return self.grades.most_common(1)[0][0]

    @property
    def coverage(self) -> float:
        """Of the graded logs, the part whose interval holds the truth."""
        return self.hits / self.graded if self.graded else math.nan

    @property
    def naive_coverage(self) -> float:
        """Of all logs; NaN where there is no textbook interval."""
        if self.naive_widths and all(math.isnan(width) for width in self.naive_widths):
            return math.nan
        return self.naive_hits / self.logs

    @property
    def width(self) -> float:
        """The median."""
        return median(self.widths) if self.widths else math.nan

    @property
    def naive_width(self) -> float:
        """The median."""
        return median(self.naive_widths) if self.naive_widths else math.nan

    @property
    def kind(self) -> str:
        """``interval``, ``exact`` (nothing was left to chance) or ``at least`` (among stopped runs)."""
        if self.exact * 2 > self.graded:
            return "exact"
        return "at least" if self.at_least * 2 > self.graded else "interval"

    @property
    def holds(self) -> bool:
        """What the estimates of this cell promise is kept.

        A lower bound and an exact number must be right as often; an interval has to cover 93 to 99 %. More is none's fault in
        three cases: where a process never fails, an interval can miss on one side only; nodes are whole numbers, so that an
        interval of many rows cannot be as narrow as it might; and what allows for a stall that was not drawn is too wide where
        there is none.
        """
        if not self.is_graded or self.name.endswith(UNKNOWN):
            return True
        cannot_miss = (
            (self.cell.failing == 0 and "failure rate" in self.name)
            or self.name.startswith("nodes")
            or self.cell.is_of_what_is_rare
        )
        # what counting some logs leaves to chance: one in a thousand on each side
        spare = 3.1 * math.sqrt(0.05 * 0.95 / self.graded) - (0.95 - NOMINAL[0])
        if self.kind != "interval":
            return self.coverage >= NOMINAL[0] - max(spare, 0)
        too_wide = self.coverage > NOMINAL[1] and self.graded >= _ENOUGH
        return NOMINAL[0] - max(spare, 0) <= self.coverage and (cannot_miss or not too_wide)


def cells() -> list[Cell | FleetCell]:
    """All of them."""
    plain = [Cell(rate, runs, failing) for rate in RATES for runs in RUNS for failing in FAILING]
    return [*plain, *rare.cells(), *fleets.cells()]


def tallies(cell: Cell | FleetCell, logs: int, seed: int) -> list[Tally]:
    """Simulate one cell; the same seed gives the same.

    Args:
        cell: Which.
        logs: How many; of fleets, of how many versions.
        seed: Of all chance.
    """
    chance = np.random.default_rng([seed, zlib.crc32(repr(cell).encode())])
    found: dict[str, Tally] = {}
    times = max(logs // cell.versions, 1) if isinstance(cell, FleetCell) else logs
    for _ in range(times):
        for one in _checked(cell, chance):
            found.setdefault(one.name, Tally(cell, one.name)).add(one)
    return list(found.values())


def _checked(cell: Cell | FleetCell, chance: np.random.Generator) -> Iterator[Checked]:
    if isinstance(cell, FleetCell):
        return fleets.check(cell, chance)
    return rare.check(cell, chance) if isinstance(cell, RareCell) else check(cell, chance)


def simulate(wanted: Sequence[Cell | FleetCell], logs: int, seed: int, workers: int) -> Iterator[list[Tally]]:
    """Simulate some cells, side by side."""
    work = partial(tallies, logs=logs, seed=seed)
    if workers <= 1:
        yield from map(work, wanted)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(work, wanted)
