"""How often the intervals of the split hold what was planted, and whether what it says of a program is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from analytics.findings.timing.time_split import EXTRA_MS, TIMES, TimeSplit
from tests.fields.fleet import Program, World, contribution, random_world, taken_apart

SEED = 20260711
LEAST = 0.93
"""Of nominal 95 %: medians of sums are only nearly sums of medians."""
WHAT = ("field", "sum of fields", "node", "rest")


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of fleet.

    Attributes:
        families: Programs, of one to three versions each.
        per_day: Logged runs a day of each.
        spread: Of the logarithm of a program's nodes: with little of it, its own runs hardly say what a node costs.
        stalled: One run in so many stalls.
        times: So many times the mean of the others, at least and at most; 300 to 1,500 ms where nothing is said.
    """

    families: int
    per_day: int
    spread: float = 0.3
    stalled: float = 250
    times: tuple[float, float] | None = None


_LONG = (40.0, 300.0)
CELLS = (
    *(Cell(5, 10, 0.05), Cell(5, 25, 0.15), Cell(8, 25), Cell(16, 25), Cell(40, 25), Cell(16, 200)),
    *(Cell(5, 25, 0.15, 500, _LONG), Cell(16, 25, 0.3, 500, _LONG), Cell(16, 200, 0.3, 5_000, _LONG), Cell(16, 25, 0.3, 20, _LONG)),
)  # fmt: skip


def experiment(rng: np.random.Generator, cell: Cell, drawn: int = 6_000) -> Counter[str]:
    """One random fleet in which nothing stands out: which costs are told, and which of their intervals hold the truth.

    Args:
        rng: Of everything in it.
        cell: Its kind.
        drawn: Runs from which the truth of a field in one program is taken.
    """
    world = random_world(rng, cell.families, cell.per_day, cell.spread)
    world = replace(world, stalls=1 / cell.stalled, times=cell.times)
    found = taken_apart(world, int(rng.integers(2**31)))
    tally: Counter[str] = Counter()
    truth: dict[str, float] = {}
    for path in world.query_ms:
        users = [program for program in world.programs if path in program.fields]
        if users:
            tally["field asked"] += 1
            each = [contribution(world, user, path, user.first, rng, drawn) for user in users]
            truth[path] = float(np.mean(each))
    rest = world.rest_ms + float(np.median([program.own_ms for program in world.programs]))
    for part in found.costs:
        if part.kind == "rest":
            _score(tally, "rest", part.ms.low, part.ms.high, rest)
        elif part.kind == "field" and not part.in_realm and part.since is None:
            what = "field" if len(part.names) == 1 else "sum of fields"
            _score(tally, what, part.ms.low, part.ms.high, sum(truth[name] for name in part.names))
    programs = {program.key: program for program in world.programs}
    for one in found.splits:
        program = programs[one.key]
        _score(tally, "node", one.per_node.low, one.per_node.high, world.node_ms * program.weight)
        tally["blamed wrongly"] += any(part.in_realm or part.since for part in one.blamed)
        tally["slow"] += one.is_slow
        tally["slow wrongly"] += one.is_slow and not _is_slow(world, program, one)
        tally["unclear"] += one.verdict == "unclear"
        tally["versions"] += 1
    return tally


def _is_slow(world: World, program: Program, one: TimeSplit) -> bool:
    """Whether its median is as much above what its nodes and the rest truly take as slow means."""
    due = one.nodes * world.node_ms * program.weight + world.rest_ms + program.own_ms
    return one.ms.value > TIMES * due and one.ms.value - due > EXTRA_MS


def slow_experiment(rng: np.random.Generator) -> Counter[str]:
    """A random fleet where one field takes 60 ms in one realm: is it blamed, left open, or is something else blamed?"""
    world = random_world(rng, 20)
    users = [program for program in world.programs if program.fields and program.last == 10]
    if not users:
        return Counter()
    victim: Program = users[int(rng.integers(len(users)))]
    path = victim.fields[int(rng.integers(len(victim.fields)))]
    realm = victim.key.realm or ""
    world = replace(world, slow={(path, realm, 0): 60.0})
    found = taken_apart(world, int(rng.integers(2**31)))
    tally: Counter[str] = Counter()
    for one in found.splits:
        planted = path in next(p.fields for p in world.programs if p.key == one.key) and one.key.realm == realm
        names = {name for part in one.blamed for name in part.names}
        if not planted:  # it may be slow by what its fields cost everywhere, but nothing of it is this realm's doing
            wrong = any(part.in_realm or part.since or part.kind == "cannot tell" for part in one.blamed)
            tally["others blamed wrongly" if wrong else "others left alone"] += 1
        elif one.verdict == "field" and names == {path}:
            tally["named"] += 1
        elif one.verdict in ("cannot tell", "unclear") or path in names:
            tally["left open"] += 1
        else:
            tally["missed"] += 1
    return tally


def simulate(fleets: int, seed: int, workers: int) -> Iterator[Counter[str]]:
    """The sum of each cell of `CELLS`, then that of the fleets with a slow field."""
    with ProcessPoolExecutor(workers) as pool:
        for cell in CELLS:
            seeds = [(seed, cell.families, cell.per_day, int(cell.stalled), number) for number in range(fleets)]
            yield sum(pool.map(partial(_one, cell), seeds, chunksize=5), Counter())
        yield sum(pool.map(_one_slow, [(seed, number) for number in range(fleets)], chunksize=5), Counter())


def _one(cell: Cell, seed: Sequence[int]) -> Counter[str]:
    return experiment(np.random.default_rng(seed), cell)


def _one_slow(seed: Sequence[int]) -> Counter[str]:
    return slow_experiment(np.random.default_rng(seed))


def _score(tally: Counter[str], what: str, low: float, high: float, truth: float) -> None:
    tally[f"{what} told"] += 1
    tally[f"{what} covered"] += low <= truth <= high
