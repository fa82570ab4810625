"""Many logs of one kind, and how often the search for failures cries wolf or misses one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import numpy as np

from analytics.findings.failures.growth import Growth, growing_codes
from analytics.findings.post_mortem.groups import RunColumns
from tests.failing import logs
from tests.failing.logs import CODES, SINCE, Cell, Incident

RATES: Final = (0.01, 0.05, 0.2, 1.0)
FAILING: Final = (0.001, 0.003, 0.01, 0.03, 0.1)
HABITS: Final = ("nights", "days", "weekends", "redeployed")
#: What is planted, and the code that it must be found with.
PLANTED: Final[dict[str, tuple[Incident, str]]] = {
    "burst": (logs.burst, CODES[0]),
    "stall": (logs.stall, CODES[1]),
    "new code": (logs.new_code, CODES[2]),
    "twice": (logs.doubled, CODES[0]),
}


@dataclass(frozen=True, slots=True)
class Tally:
    """What many logs of one cell came to.

    Attributes:
        cell: Which kind of strategy.
        planted: The incident in all of them; empty where failures are steady.
        logs: How many.
        told: Logs in which an incident is told: of a planted one, with its code.
        steadily: Logs in which only the steady rate is told.
    """

    cell: Cell
    planted: str
    logs: int
    told: int
    steadily: int


def grown(cell: Cell, planted: str, seed: int) -> list[Growth]:
    """What one log is found to hold."""
    rng = np.random.default_rng(seed)
    truth = logs.steady(cell, rng)
    if planted:
        truth = PLANTED[planted][0](truth, cell, rng)
    frame = logs.logged(truth, rng)
    frame["created_at"] -= timedelta(seconds=cell.since)
    runs = RunColumns.of(frame)
    scope, inside = runs.between(SINCE - timedelta(days=7), cell.until), runs.between(SINCE, cell.until)
    return growing_codes(runs, scope, inside, cell.until)


def tally(cell: Cell, planted: str, count: int, seed: int) -> Tally:
    """Many logs of one cell."""
    told = steadily = 0
    for number in range(count):
        found = grown(cell, planted, seed + number)
        wanted = [one for one in found if not one.is_steady and (not planted or one.code == PLANTED[planted][1])]
        told += bool(wanted)
        steadily += bool(found) and all(one.is_steady for one in found)
    return Tally(cell, planted, count, told, steadily)


def cells() -> list[tuple[Cell, str]]:
    """All that are tried: steady failures, habits that are no incident, and incidents."""
    histories = (True, False)
    found = [(Cell(rate, failing, history), "") for rate in RATES for failing in FAILING for history in histories]
    found += [
        (Cell(rate, 0.03, history, habit), "")
        for habit in HABITS
        for rate in RATES[:3]
        for history in histories
        # Of three days nobody can tell a night's or a day's habit from an incident.
        if history or habit == "redeployed"
    ]
    for planted in PLANTED:
        found += [
            (Cell(rate, failing, history), planted)
            for rate in RATES
            for failing in (0.001, 0.01, 0.03)
            for history in histories
            # What was always twice as much is no more than before.
            if planted != "twice" or (history and failing > 0.001)
        ]
    return found


def tallies(wanted: Sequence[tuple[Cell, str]], count: int, seed: int, workers: int) -> Iterator[Tally]:
    """Of all cells, in their order."""
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(partial(_one, count, seed), wanted)


def _one(count: int, seed: int, wanted: tuple[Cell, str]) -> Tally:
    return tally(*wanted, count, seed)
