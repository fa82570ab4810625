"""Many logs of every cell: how often the range holds the day, how often growth is called, and how wide the range is."""

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
import pandas as pd

from analytics.findings.runaway.trend import trends
from tests.forecast.growth import CAP, SCENARIOS, Growth, log

ROWS = (12, 50, 200, 1000, 10_000)
DAYS = (4, 7, 14, 30)
NOMINAL = (0.93, 0.98)
"""What a range of nominally 95 % has to hold, at least and at most."""
FALSE_ALARM = 0.025
FLEET = 50
SEED = 20261125


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of log, its rows a day and its days."""

    growth: Growth
    rows: int
    days: int


@dataclass(slots=True)
class Tally:
    """What became of the logs of one cell.

    Attributes:
        cell: Which.
        states: How many logs were called what.
        ranges: Logs with a range; with too few days of enough rows there is none.
        held: Ranges that hold the true day.
        early, late: Ranges that end before it, ranges that begin after it.
        growing_held: The same of those called growing.
        lows, highs: Ends of the ranges of those called growing.
    """

    cell: Cell
    states: Counter[str] = field(default_factory=Counter)
    ranges: int = 0
    held: int = 0
    early: int = 0
    late: int = 0
    growing_held: int = 0
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)

    @property
    def logs(self) -> int:
        """All of them."""
        return self.states.total()

    @property
    def growing(self) -> float:
        """Part that was called growing: detection where it grows, else false alarm."""
        return self.states["growing"] / self.logs

    @property
    def coverage(self) -> float:
        """Part of the ranges that hold the true day, whatever the logs were called."""
        return self.held / self.ranges if self.ranges else math.nan

    @property
    def promised(self) -> float:
        """Part with a last day."""
        return sum(high < math.inf for high in self.highs) / self.logs

    @property
    def ends(self) -> tuple[float, float]:
        """Medians of the range's ends, of those called growing."""
        return (median(self.lows), median(self.highs)) if self.lows else (math.nan, math.nan)

    @property
    def holds(self) -> bool:
        """What is promised is kept, but for what counting some logs leaves to chance (one in a thousand)."""
        grows, nominal = (
            self.cell.growth.kind == "grows",
            NOMINAL[0] if self.cell.growth.kind == "grows" else FALSE_ALARM,
        )
        spare = 3.1 * math.sqrt(nominal * (1 - nominal) / max(self.ranges, 1))
        if grows:
            return not self.coverage < NOMINAL[0] - spare
        return self.cell.growth.kind != "quiet" or self.growing <= FALSE_ALARM + spare


def cells(rows: Sequence[int] = ROWS, days: Sequence[int] = DAYS) -> list[Cell]:
    """All of them; a step or two missing days in four are left out, and most of what many rows would take long for."""
    return [
        Cell(growth, many, length)
        for growth in SCENARIOS
        for many in rows
        for length in days
        if not (many > 1000 and (growth.is_cut or length != 14))
        and not (length < 6 and (growth.missing or growth.kind in ("steps", "levels off")))
    ]


def tally(cell: Cell, logs: int, seed: int) -> Tally:
    """Simulate one cell; the same seed gives the same."""
    chance, found = np.random.default_rng([seed, zlib.crc32(repr(cell).encode())]), Tally(cell)
    for _ in range(logs):
        [trend] = trends(log(cell.growth, cell.rows, cell.days, chance), CAP).values()
        days, truth = trend.days_to_cap, cell.growth.truth
        found.states[trend.state] += 1
        held = days.low <= truth <= days.high
        found.ranges += not math.isnan(days.low)
        found.held += held
        found.early += days.high < truth
        found.late += days.low > truth
        if trend.state == "growing":
            found.growing_held += held
            found.lows.append(days.low)
            found.highs.append(days.high)
    return found


@dataclass(frozen=True, slots=True)
class Fleet:
    """Fleets of fifty versions.

    Attributes:
        rows, days: Of every version.
        fleets: How many were simulated.
        alarms: Of them, those in which a version without growth is called growing.
        found: Of them, those in which the one that grows is.
        grows: Whether one of them grows.
    """

    rows: int
    days: int
    fleets: int
    alarms: int
    found: int
    grows: bool

    @property
    def holds(self) -> bool:
        """A fleet stays quiet as often as one version does, but for what counting some fleets leaves to chance."""
        spare = 3.1 * math.sqrt(FALSE_ALARM * (1 - FALSE_ALARM) / self.fleets)
        # With one that truly grows the correction allows 2.5 % of the called, so one in forty of the fleets as well.
        return self.alarms / self.fleets <= (2 if self.grows else 1) * FALSE_ALARM + spare


def fleet(rows: int, days: int, grows: bool, fleets: int, seed: int) -> Fleet:
    """Quiet versions near the cap and far from it, with one that grows among them or none."""
    chance = np.random.default_rng([seed, rows, days, grows])
    alarms = found = 0
    for _ in range(fleets):
        kinds = [Growth("quiet", kind="quiet", level=level) for level in np.linspace(300, 950, FLEET - 1)]
        kinds.append(SCENARIOS[1] if grows else Growth("quiet", kind="quiet"))
        parts = [log(kind, rows, days, chance, version=number) for number, kind in enumerate(kinds)]
        called = {key.strategy for key, trend in trends(pd.concat(parts), CAP).items() if trend.state == "growing"}
        last = f"s{FLEET - 1}"
        found += grows and last in called
        alarms += bool(called - {last} if grows else called)
    return Fleet(rows, days, fleets, alarms, found, grows)


def simulate(wanted: Sequence[Cell], logs: int, seed: int, workers: int) -> Iterator[Tally]:
    """Simulate some cells, side by side."""
    work = partial(tally, logs=logs, seed=seed)
    if workers <= 1:
        yield from map(work, wanted)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(work, wanted)


def simulate_fleets(fleets: int, seed: int, workers: int) -> Iterator[Fleet]:
    """Simulate some fleets, side by side."""
    wanted = [(rows, days, grows) for rows in (50, 1000) for days in (4, 7, 14) for grows in (False, True)]
    columns = zip(*wanted, strict=True)
    if workers <= 1:
        yield from map(partial(fleet, fleets=fleets, seed=seed), *columns)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(fleet, fleets=fleets, seed=seed), *columns)
