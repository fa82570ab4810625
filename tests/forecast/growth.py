"""One simulated log: how the p99 of nodes moves in truth, what days and sampling make of it, and when it meets the cap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analytics.demo.traffic import logged_runs

CAP = 1000.0
FIRST = pd.Timestamp("2026-06-01")
RATE = 0.05
LUMPS = np.array([0.0, 1.0, 2.0, 3.5, 5.0])
LUMP_CHANCE = np.array([0.3, 0.3, 0.2, 0.13, 0.07])

Draw = Callable[[np.random.Generator, int], Any]
SHAPES: dict[str, tuple[Draw, float]] = {
    "normal": (lambda chance, n: chance.normal(3, 1, n), 3 + float(stats.norm.ppf(0.99))),
    "skewed": (lambda chance, n: np.exp(chance.normal(0, 0.6, n)), math.exp(0.6 * float(stats.norm.ppf(0.99)))),
    "heavy": (lambda chance, n: chance.pareto(4, n) + 1, 0.01 ** (-1 / 4)),
    "lumpy": (lambda chance, n: chance.choice(LUMPS, n, p=LUMP_CHANCE), 5.0),
    "one path": (lambda chance, n: np.zeros(n), 0.0),
}
"""How nodes of runs spread within a day, each with its 99th percentile."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A kind of log.

    Attributes:
        name: What it is called.
        kind: What is true: ``grows``, ``quiet``, ``steps`` or ``levels off``.
        slope: Nodes a day of the p99 of all runs; of a step or a levelling, what it rises by in the whole window.
        level: That p99 on the last day, apart from the day's own deviation.
        shape: See `SHAPES`.
        spread: Nodes of one unit of the shape.
        is_ratio: The runs of a day grow by a ratio, the largest most; else all by as many nodes.
        day_noise: Standard deviation of the days about the path.
        noise_grows: The later days deviate six times as far as the first.
        weekend: Nodes fewer on two days of seven.
        missing: Days without a row.
        unequal: Days have between 0.3 and 2.5 times the rows.
        mixed: Rows weigh 1, 5 and 20.
        odd: One day deviates by so much, up or down.
        is_cut: Runs above the cap are stopped, and logged as such, all of them.
    """

    name: str
    kind: str = "grows"
    slope: float = 12.0
    level: float = 800.0
    shape: str = "skewed"
    spread: float = 40.0
    is_ratio: bool = False
    day_noise: float = 8.0
    noise_grows: bool = False
    weekend: float = 0.0
    missing: int = 0
    unequal: bool = False
    mixed: bool = False
    odd: float = 0.0
    is_cut: bool = False

    @property
    def truth(self) -> float:
        """Days from the last one to the cap, if the path goes on; infinite when it does not."""
        return (CAP - self.level) / self.slope if self.kind == "grows" else math.inf

    def path(self, days: int, chance: np.random.Generator) -> Any:
        """The p99 of all runs on every day, without the days' own deviations."""
        age = np.arange(days) - (days - 1.0)
        if self.kind == "grows":
            return self.level + self.slope * age
        if self.kind == "steps":
            return self.level - self.slope * (np.arange(days) < chance.integers(2, days - 1))
        if self.kind == "levels off":
            rise = 1 - np.exp(-np.arange(days) / (0.3 * (days - 1)))
            return self.level + self.slope * (rise / rise[-1] - 1)
        return np.full(days, self.level)


SCENARIOS = (
    Growth("linear, normal runs", shape="normal"),
    Growth("linear, skewed runs"),
    Growth("linear, heavy tail", shape="heavy", spread=60),
    Growth("linear, few distinct paths", shape="lumpy", spread=30),
    Growth("linear, one path, noisy days", shape="one path", day_noise=25),
    Growth("proportional, normal runs", shape="normal", is_ratio=True),
    Growth("proportional, skewed runs", is_ratio=True),
    Growth("days scatter more and more", noise_grows=True, day_noise=15),
    Growth("quiet weekends", weekend=30),
    Growth("two days missing", missing=2),
    Growth("unequal rows", unequal=True),
    Growth("mixed weights", mixed=True),
    Growth("one odd day", odd=120),
    Growth("slow growth", slope=3),
    Growth("already cut off by the cap", level=970, is_cut=True, shape="normal"),
    Growth("quiet", kind="quiet"),
    Growth("quiet, heavy tail near the cap", kind="quiet", level=950, shape="heavy", spread=60),
    Growth("quiet, quiet weekends", kind="quiet", weekend=30),
    Growth("quiet, one odd day", kind="quiet", odd=120),
    Growth("quiet, few distinct paths", kind="quiet", shape="lumpy", spread=30),
    Growth("jump of 60", kind="steps", slope=60),
    Growth("jump of 200", kind="steps", slope=200),
    Growth("levels off, rise of 100", kind="levels off", slope=100),
    Growth("levels off, rise of 300", kind="levels off", slope=300),
)


def log(of: Growth, rows: int, days: int, chance: np.random.Generator, *, version: int = 1) -> pd.DataFrame:
    """What the query nodes_by_day gives for one version: day, nodes_executed, sample_weight, logged_count.

    Args:
        of: The kind of log.
        rows: Logged rows a day.
        days: Days of the window.
        chance: Where chance comes from.
        version: What to call it.
    """
    scatter = np.linspace(0.3, 1.7, days) if of.noise_grows else np.ones(days)
    level = of.path(days, chance) + chance.normal(0, 1, days) * scatter * of.day_noise
    if of.weekend:
        away = (np.arange(days) + chance.integers(7)) % 7 >= 5
        level -= of.weekend * (away - 2 / 7)
    if of.odd:
        level[chance.integers(days)] += of.odd * chance.choice([-1, 1])
    gone = set(chance.choice(days - 1, of.missing, replace=False)) if of.missing else set()
    parts = [_day(of, rows, level[day], day, chance) for day in range(days) if day not in gone]
    nodes, weights, counts = (np.concatenate(column) for column in list(zip(*parts, strict=True))[1:])
    of_day = np.repeat([day for day, *_ in parts], [len(counts) for *_, counts in parts])
    return pd.DataFrame(
        {
            "realm_id": "r",
            "strategy": f"s{version}",
            "strategy_version": 1,
            "day": np.datetime64(FIRST, "us") + of_day.astype("timedelta64[D]"),
            "nodes_executed": nodes,
            "sample_weight": weights,
            "logged_count": counts,
        }
    )


def _day(of: Growth, rows: int, level: float, day: int, chance: np.random.Generator) -> tuple[int, Any, Any, Any]:
    draw, p99 = SHAPES[of.shape]
    count = max(10, round(rows * chance.choice([0.3, 0.6, 1, 1.5, 2.5]))) if of.unequal else rows
    runs = round(count / RATE) if of.is_cut else count
    drawn = draw(chance, runs)
    nodes = level * drawn / p99 if of.is_ratio else level + of.spread * (drawn - p99)
    nodes = np.maximum(np.rint(nodes), 0.0)
    weights = chance.choice([1.0, 5.0, 20.0], runs, p=[0.2, 0.3, 0.5]) if of.mixed else np.full(runs, 1 / RATE)
    if of.is_cut:
        stopped = nodes > CAP
        logged = logged_runs(stopped, chance.random(runs), RATE)
        nodes = np.where(stopped, np.nan, nodes)[logged]
        weights = np.where(stopped, 1.0, weights)[logged]
    # Weights are few and nodes whole: both in one number are counted faster than pairs are.
    both, counts = np.unique(np.where(np.isnan(nodes), -1.0, nodes) * 32 + weights, return_counts=True)
    seen = np.floor_divide(both, 32)
    return day, np.where(seen < 0, np.nan, seen), both - 32 * seen, counts
