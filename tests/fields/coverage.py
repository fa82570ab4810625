"""How often the intervals of the split hold what was planted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from tests.fields.fleet import Program, contribution, random_world, taken_apart

LEAST = 0.92
"""Of nominal 95 %: medians of sums are only nearly sums of medians."""


def experiment(rng: np.random.Generator, families: int, per_day: int) -> Counter[str]:
    """One random fleet in which nothing stands out: which costs are told, and which of their intervals hold the truth."""
    world = random_world(rng, families, per_day)
    found = taken_apart(world, int(rng.integers(2**31)))
    tally: Counter[str] = Counter()
    truth: dict[str, float] = {}
    for path in world.query_ms:
        users = [program for program in world.programs if path in program.fields]
        if users:
            tally["field asked"] += 1
            each = [contribution(world, user, path, user.first, rng) for user in users]
            truth[path] = float(np.mean(each))
    for part in found.costs:
        if part.kind == "rest":
            _score(
                tally,
                "rest",
                part.ms.low,
                part.ms.high,
                world.rest_ms + float(np.median([program.own_ms for program in world.programs])),
            )
        elif part.kind == "field" and not part.in_realm and part.since is None:
            what = "field" if len(part.names) == 1 else "sum of fields"
            _score(tally, what, part.ms.low, part.ms.high, sum(truth[name] for name in part.names))
    for one in found.splits:
        weight = next(program.weight for program in world.programs if program.key == one.key)
        _score(tally, "node", one.per_node.low, one.per_node.high, world.node_ms * weight)
        tally["blamed wrongly"] += any(part.in_realm or part.since for part in one.blamed)
    return tally


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
        elif one.verdict == "cannot tell" or path in names:
            tally["left open"] += 1
        else:
            tally["missed"] += 1
    return tally


def _score(tally: Counter[str], what: str, low: float, high: float, truth: float) -> None:
    tally[f"{what} told"] += 1
    tally[f"{what} covered"] += low <= truth <= high
