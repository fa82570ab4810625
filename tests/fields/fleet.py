"""Simulated fleets: programs that read fields, whose queries, nodes and own time cost what was written down before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from analytics.estimates.estimate import Estimate
from analytics.findings.runaway.keys import Key
from analytics.findings.timing.cost_model import ProgramInputs
from analytics.findings.timing.time_split import Fleet, split

FIRST = date(2026, 7, 1)
SIGMA = 0.45
"""Spread of the logarithm of a query's time."""


@dataclass(frozen=True)
class Program:
    """One version of a strategy.

    Attributes:
        key: Which.
        fields: Analytics fields it reads.
        built_in: What it wraps.
        nodes: Median nodes.
        spread: Of the logarithm of its nodes.
        per_day: Logged runs a day.
        first, last: Days it runs on, counted from `FIRST`; the last not among them.
        own_ms: Time of its own.
        weight: How much dearer its nodes are than the typical one's.
    """

    key: Key
    fields: tuple[str, ...] = ()
    built_in: str | None = None
    nodes: float = 60.0
    spread: float = 0.3
    per_day: int = 40
    first: int = 0
    last: int = 8
    own_ms: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True)
class World:
    """What things cost.

    Attributes:
        programs: All versions.
        query_ms: Median of each field's query and each built-in.
        slow: (field, realm or "*", first day) whose queries take another median.
        node_ms: Of a typical node.
        rest_ms: Of every run.
        stalls: Share of runs that stall: they take 300 to 1,500 ms more,
        times: or so many times the mean of the day, at least and at most, where that is said.
        tails: Share of queries that take 3 to 10 times as long.
    """

    programs: Sequence[Program]
    query_ms: Mapping[str, float]
    slow: Mapping[tuple[str, str, int], float] = field(default_factory=dict)
    node_ms: float = 0.045
    rest_ms: float = 0.5
    stalls: float = 0.004
    tails: float = 0.01
    times: tuple[float, float] | None = None

    def median(self, name: str, realm: str | None, day: int) -> float:
        """Of one query."""
        found = self.query_ms[name]
        for (path, where, since), ms in self.slow.items():
            if path == name and where in ("*", realm) and day >= since:
                found = ms
        return found


def runs(world: World, rng: np.random.Generator) -> pd.DataFrame:
    """A row per logged run, as the query run_costs gives them, with their day."""
    parts = []
    for program in world.programs:
        parts += [_day(world, program, day, program.per_day, rng) for day in range(program.first, program.last)]
    return pd.concat(parts, ignore_index=True)


def _day(world: World, program: Program, day: int, count: int, rng: np.random.Generator) -> pd.DataFrame:
    nodes = np.maximum(np.round(program.nodes * np.exp(program.spread * rng.standard_normal(count))), 1)
    took = world.rest_ms * (0.8 + 0.4 * rng.random(count)) + program.own_ms
    took += nodes * world.node_ms * program.weight * np.exp(0.18 * rng.standard_normal(count))
    for name in (*program.fields, *([program.built_in] if program.built_in else [])):
        query = world.median(name, program.key.realm, day) * np.exp(SIGMA * rng.standard_normal(count))
        took += query * np.where(rng.random(count) < world.tails, rng.uniform(3, 10, count), 1.0)
    more = rng.uniform(300, 1500, count) if world.times is None else took.mean() * rng.uniform(*world.times, count)
    took += np.where(rng.random(count) < world.stalls, more, 0.0)
    return pd.DataFrame(
        {
            "realm_id": program.key.realm, "strategy": program.key.strategy, "strategy_version": program.key.version,
            "day": FIRST + timedelta(days=day), "status": "ok", "nodes_executed": nodes, "duration_ms": took, "sample_weight": 20.0,
        }
    )  # fmt: skip


def reads(world: World) -> dict[Key, ProgramInputs]:
    """What the definitions would say."""
    return {program.key: ProgramInputs(tuple(sorted(program.fields)), program.built_in) for program in world.programs}


def wanted(frame: pd.DataFrame) -> dict[Key, tuple[Estimate, float]]:
    """Median time and nodes of every version on its last days, as a league would give them."""
    found = {}
    for (realm, strategy, version), rows in frame.groupby(["realm_id", "strategy", "strategy_version"], dropna=False):
        late = rows[rows["day"] >= rows["day"].max() - timedelta(days=1)]
        ms = float(late["duration_ms"].median())
        key = Key(realm if isinstance(realm, str) else None, strategy, int(version))
        found[key] = (Estimate(ms, 0.95 * ms, 1.05 * ms, len(late), "good"), float(late["nodes_executed"].median()))
    return found


def taken_apart(world: World, seed: int) -> Fleet:
    """One log of this world, split."""
    frame = runs(world, np.random.default_rng(seed))
    return split(frame, reads(world), wanted(frame))


def contribution(
    world: World, program: Program, name: str, day: int, rng: np.random.Generator, count: int = 6_000
) -> float:
    """By how much a query moves the median of the runs that make it: medians do not add up like means."""
    without = replace(program, fields=tuple(path for path in program.fields if path != name))
    with_it = _day(world, program, day, count, rng)["duration_ms"].median()
    return float(with_it - _day(world, without, day, count, rng)["duration_ms"].median())


PATHS = ("all.avg_time", "task.measurements_count", "user.avg_time", "user.last_window_diff", "user.measurements_count")


def random_world(rng: np.random.Generator, families: int = 16, per_day: int = 25, spread: float = 0.3) -> World:
    """A fleet like those in use: a few realms, one to three versions of a program, fields that come and go with them."""
    programs = []
    for number in range(families):
        realm = f"realm-{rng.integers(4)}"
        fields = {path for path in PATHS if rng.random() < 0.35}
        nodes = float(np.exp(rng.uniform(np.log(10), np.log(400))))
        own, weight = abs(float(rng.normal(0, 0.15))), float(np.exp(rng.normal(0, 0.08)))
        first = 0
        for version in range(1, int(rng.integers(2, 5))):
            last = min(first + int(rng.integers(2, 6)), 10)
            if last > first:
                programs.append(
                    Program(
                        Key(realm, f"program {number}", version), tuple(sorted(fields)), None, nodes, spread, per_day, first, last,
                        own, weight,
                    )
                )  # fmt: skip
            first = last
            if rng.random() < 0.6:
                fields = fields ^ {PATHS[int(rng.integers(len(PATHS)))]}
            nodes *= float(np.exp(rng.normal(0, 0.1)))
    query = {path: float(np.exp(rng.normal(np.log(2.0), 0.8))) for path in PATHS}
    return World(programs, query)
