"""Fleets whose runs stall now and then: what versions cost, by the league's own estimators, beside the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analytics.demo.traffic import logged_runs
from analytics.estimates import estimators
from analytics.estimates.stalls import LONGEST_MS
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.run_costs import LoggedRuns, fleet_costs
from tests.intervals.logs import Checked, at, order, student

RATES = (0.01, 0.05, 0.2)
VERSIONS = (1, 5, 28)
SMALLEST, LARGEST = 300, 50_000
"""Runs of a version, between them by their logarithm."""
MOST_NODES = 400.0
Stalled = Callable[[np.random.Generator, Any, float], Any]


def _times(one_in: float, low: float, high: float) -> Stalled:
    """Stalls of some times the mean, as the logarithm has it."""

    def stall(chance: np.random.Generator, took: Any, mean: float) -> Any:
        lasted = mean * np.exp(chance.uniform(math.log(low), math.log(high), len(took)))
        return np.where(chance.random(len(took)) < 1 / one_in, lasted, took)

    return stall


def _each_its_own(chance: np.random.Generator, took: Any, mean: float) -> Any:
    return _times(float(np.exp(chance.uniform(math.log(500), math.log(5_000)))), 40, 300)(chance, took, mean)


def _event_loop(chance: np.random.Generator, took: Any, mean: float) -> Any:
    return np.where(chance.random(len(took)) < 1 / 1500, took + chance.uniform(300, 1500, len(took)), took)


def _alike(chance: np.random.Generator, took: Any, mean: float) -> Any:
    return np.where(chance.random(len(took)) < 1 / 3000, 100 * mean, mean)


def _two_ways(chance: np.random.Generator, took: Any, mean: float) -> Any:
    return np.where(chance.random(len(took)) < 0.05, took * 40, took)


STALLS: dict[str, Stalled] = {
    "none": lambda chance, took, mean: took,
    "1 in 500 of 40 times the mean": _times(500, 40, 40.001),
    "1 in 1,500 of 40 – 300 times": _times(1500, 40, 300),
    "1 in 5,000 of 300 times": _times(5000, 300, 300.001),
    "1 in 500 – 5,000 of 40 – 300 times, each version its own": _each_its_own,
    "1 in 1,500 of 300 – 1,500 ms, whoever runs": _event_loop,
    "all alike but for 1 in 3,000 of 100 times": _alike,
    "1 in 20 takes 40 times as long": _two_ways,
}


@dataclass(frozen=True, slots=True)
class FleetCell:
    """A kind of fleet.

    Attributes:
        stalls: One of `STALLS`.
        rate: Fraction of ok runs that is logged.
        versions: How many there are.
    """

    stalls: str
    rate: float
    versions: int
    failing: float = 0.002

    @property
    def is_of_what_is_rare(self) -> bool:
        """What was not drawn is allowed for: an interval may hold more than was nominal."""
        return True

    @property
    def words(self) -> str:
        """The cell in a table."""
        return f"{self.stalls}; rate {self.rate:g}, {self.versions} version{'s' * (self.versions > 1)}"


def cells() -> list[FleetCell]:
    """All of them."""
    return [FleetCell(stalls, rate, versions) for stalls in STALLS for rate in RATES for versions in VERSIONS]


@dataclass(frozen=True, slots=True)
class Version:
    """Runs of one version: milliseconds and nodes of ok runs, milliseconds of those that timed out."""

    took: Any
    nodes: Any
    timed_out: Any


def fleet(cell: FleetCell, chance: np.random.Generator) -> list[Version]:
    """Versions of very different size and speed."""
    found = []
    for _ in range(cell.versions):
        runs = int(np.exp(chance.uniform(math.log(SMALLEST), math.log(LARGEST))))
        failed = int(chance.binomial(runs, cell.failing))
        sigma, median = chance.uniform(0.4, 1.0), float(np.exp(chance.uniform(0, math.log(40))))
        took = median * np.exp(sigma * chance.standard_normal(runs - failed))
        took = STALLS[cell.stalls](chance, took, median * math.exp(sigma**2 / 2))
        # Of the runs of one in 3,000 a loop is walked that the others are not.
        nodes = np.where(
            chance.random(runs - failed) < 1 / 3000, MOST_NODES, 20.0 + chance.integers(0, 3, runs - failed)
        )
        found.append(Version(took, nodes, 500 + chance.exponential(20, failed)))
    return found


def check(cell: FleetCell, chance: np.random.Generator) -> Iterator[Checked]:
    """What each version costs, from one log of a fleet."""
    versions = fleet(cell, chance)
    weight = 1 / cell.rate
    ran, drawn = {}, []
    for number, one in enumerate(versions):
        seen = logged_runs(False, chance.random(len(one.took)), cell.rate)
        drawn.append(seen)
        ran[Key("r", "s", number)] = _ran(one.took[seen], one.nodes[seen], one.timed_out, weight)
    found = fleet_costs(ran, cell.rate)
    every = [float(np.minimum(one.took, LONGEST_MS).sum() + one.timed_out.sum()) for one in versions]
    walked = [float(one.nodes.sum()) for one in versions]
    for number, (one, seen, costs) in enumerate(zip(versions, drawn, found.values(), strict=True)):
        runs = np.concatenate([one.took, one.timed_out])
        rows = np.concatenate([one.took[seen], one.timed_out])
        low, high = student(rows)
        whole = len(rows) * weight
        yield Checked("ms per run", costs.ms_mean, float(runs.mean()), (low, high))
        yield Checked("ms in all", costs.total_ms, every[number], (low * whole, high * whole))
        if cell.versions > 1:
            nothing = (math.nan, math.nan)
            yield Checked("share of time", costs.time_share, every[number] / sum(every), nothing)
            yield Checked("share of nodes", costs.node_share, walked[number] / sum(walked), nothing)
        mean, total = costs.nodes_mean, costs.nodes_total
        low, high = student(one.nodes[seen])
        whole = int(seen.sum()) * weight
        yield Checked("nodes per ok run", mean, float(one.nodes.mean()), (low, high))
        yield Checked("nodes in all", total, walked[number], (low * whole, high * whole))
        ranked, weights = np.sort(one.took), np.full(int(seen.sum()), weight)
        for q, middle in zip((0.5, 0.99), estimators.quantiles(one.took[seen], weights, (0.5, 0.99)), strict=True):
            yield Checked(f"p{100 * q:g} of ok runs", middle, at(ranked, q), order(one.took[seen], q))


def _ran(took: Any, nodes: Any, timed_out: Any, weight: float) -> LoggedRuns:
    times = pd.DataFrame({"duration_ms": took, "status": "ok", "sample_weight": weight, "logged_count": 1})
    stopped = pd.DataFrame({"duration_ms": timed_out, "status": "timeout", "sample_weight": 1.0, "logged_count": 1})
    together = pd.DataFrame({"nodes_executed": nodes, "status": "ok", "sample_weight": weight, "logged_count": 1})
    total = float(np.minimum(took, LONGEST_MS).sum() * weight + timed_out.sum())
    count, nodes_of = len(took) + len(timed_out), together if len(together) else None
    frames = [frame for frame in (times, stopped) if len(frame)]
    return LoggedRuns(count, len(took), total, nodes_of, pd.concat(frames) if frames else None, MOST_NODES)
