"""One simulated log: a population of runs, what the sampler keeps of it, and every estimate beside its truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from analytics.demo.traffic import logged_runs
from analytics.estimates import comparisons, estimators
from analytics.estimates.estimate import Estimate

LIFT = 1.3
"""How much more the second of two compared groups pays, takes and fails."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of log.

    Attributes:
        rate: Fraction of ok runs that is logged.
        runs: Runs that there were.
        failing: Chance of a run to fail.
    """

    rate: float
    runs: int
    failing: float

    @property
    def is_of_what_is_rare(self) -> bool:
        """What was not drawn is allowed for: an interval may hold more than was nominal."""
        return False

    @property
    def words(self) -> str:
        """The cell in a table."""
        return f"rate {self.rate:g}, {self.runs:,} runs, {self.failing:g} failing"


@dataclass(frozen=True, slots=True)
class Checked:
    """An estimate beside what is true.

    Attributes:
        name: Of the estimator.
        estimate: Of this log.
        truth: Of the population, or of the process where the runs themselves are a sample of it.
        naive: Interval of somebody who takes the logged rows for a simple random sample of the runs.
    """

    name: str
    estimate: Estimate
    truth: float
    naive: tuple[float, float]

    @property
    def is_covered(self) -> bool:
        """The truth lies in the interval; that of a lower bound is open above."""
        found, slack = self.estimate, 1e-9 * abs(self.truth)
        return found.low - slack <= self.truth <= found.high + slack

    @property
    def is_exact(self) -> bool:
        """Nothing was left to chance: the interval has no width."""
        return self.estimate.low == self.estimate.high

    @property
    def is_covered_by_naive(self) -> bool:
        """The same of the naive interval."""
        return self.naive[0] <= self.truth <= self.naive[1]


POINTS: dict[str, tuple[Callable[[np.random.Generator, int], Any], float]] = {
    "exponential": (lambda chance, n: chance.exponential(10, n), 10.0),
    "lognormal, σ = 1": (lambda chance, n: np.exp(chance.normal(2, 1, n)), math.exp(2.5)),
    "cases of 0, 10 and 100": (lambda chance, n: chance.choice([0.0, 10.0, 100.0], n, p=[0.7, 0.25, 0.05]), 7.5),
    "Pareto, α = 3": (lambda chance, n: chance.pareto(3, n) + 1, 1.5),
}
"""Skewed points, each with the mean of its process."""


class Log:
    """Runs of one strategy and the rows of them that were logged."""

    def __init__(self, cell: Cell, chance: np.random.Generator, lift: float = 1.0) -> None:
        self.cell, self.lift = cell, lift
        failed = int(chance.binomial(cell.runs, min(cell.failing * lift, 1.0)))
        ok = cell.runs - failed
        self.failed, self.ok = failed, ok
        self.points = {name: draw(chance, ok) * lift for name, (draw, _) in POINTS.items()}
        self.nodes = chance.poisson(20, ok) + chance.geometric(0.1, ok)
        self.took = np.exp(chance.normal(1.5, 1, ok)) * lift
        # Half of the failures are errors, as quick as other runs; half were stopped by the time limit.
        self.statuses = np.where(chance.random(failed) < 0.5, "timeout", "error")
        quick = np.exp(chance.normal(1.5, 1, failed)) * lift
        self.failed_took = np.where(self.statuses == "timeout", 500 + chance.exponential(20, failed), quick)
        self.has = {share: chance.random(ok) < min(share * lift, 1.0) for share in (0.02, 0.1, 0.5)}
        self.drawn = logged_runs(False, chance.random(ok), cell.rate)
        self.weights = np.full(int(self.drawn.sum()), 1 / cell.rate)

    @property
    def runs(self) -> Estimate:
        """Estimated runs."""
        weights = self.weights
        return estimators.runs(len(weights), weights.sum(), (weights**2).sum(), self.failed, self.cell.rate)

    def logged(self) -> tuple[Any, Any, Any, Any]:
        """Statuses, milliseconds, nodes and weights of the rows in the log."""
        drawn = self.drawn
        return (
            np.concatenate([np.full(len(self.weights), "ok"), self.statuses]),
            np.concatenate([self.took[drawn], self.failed_took]),
            np.concatenate([self.nodes[drawn], np.zeros(self.failed)]),
            np.concatenate([self.weights, np.ones(self.failed)]),
        )


def check(cell: Cell, chance: np.random.Generator) -> Iterator[Checked]:
    """Every estimator on one log of a cell; comparisons on two."""
    log, other = Log(cell, chance), Log(cell, chance, LIFT)
    yield from _counts(log)
    yield from _points(log)
    yield from _quantiles(log)
    yield from _comparisons(log, other)


def _counts(log: Log) -> Iterator[Checked]:
    cell, runs, n = log.cell, log.runs, len(log.weights)
    seen = n + log.failed
    rows = (seen / cell.rate, 1.96 * math.sqrt(seen) / cell.rate)
    yield Checked("runs", runs, cell.runs, (rows[0] - rows[1], rows[0] + rows[1]))
    naive = wald(log.failed, seen)
    yield Checked("failure rate", estimators.failure_rate(log.failed, runs), log.failed / cell.runs, naive)
    process = estimators.failure_rate(log.failed, runs, process=True)
    yield Checked("failure rate of the process", process, cell.failing, naive)
    for share, has in log.has.items():
        if log.ok:
            found = estimators.share_of_runs(has[log.drawn], log.weights)
            yield Checked(f"share of {share:g}", found, float(has.mean()), wald(int(has[log.drawn].sum()), n))


def _points(log: Log) -> Iterator[Checked]:
    for name, values in log.points.items():
        if not log.ok:
            continue
        drawn = values[log.drawn]
        low, high = student(drawn)
        yield Checked(f"mean of {name}", estimators.mean(drawn, log.weights), float(values.mean()), (low, high))
        rows = len(drawn) / log.cell.rate
        naive = (low * rows, high * rows)
        yield Checked(f"sum of {name}", estimators.total(drawn, log.weights), float(values.sum()), naive)


def _quantiles(log: Log) -> Iterator[Checked]:
    statuses, took, nodes, weights = log.logged()
    # A stopped run would have gone on: longer, and over more nodes, than any that was not.
    truth = np.sort(np.concatenate([log.took, np.where(log.statuses == "timeout", np.inf, log.failed_took)]))
    undrawn = 0.0 if len(log.weights) else estimators.upper_bound_of_none(log.cell.rate)
    values, stopped = estimators.durations(statuses, took)
    qs = (0.5, 0.95, 0.99)
    for q, found in zip(qs, estimators.quantiles(values, weights, qs, censored=stopped, undrawn=undrawn), strict=True):
        yield Checked(f"duration p{100 * q:g}", found, at(truth, q), order(took, q))
    found = estimators.quantile(log.took[log.drawn], log.weights, 0.99)
    if log.ok:
        yield Checked("duration p99 of ok runs", found, at(np.sort(log.took), 0.99), order(took, 0.99))
    counted = np.sort(np.concatenate([log.nodes, np.full(int((log.statuses == "timeout").sum()), np.inf)]))
    values, stopped = estimators.nodes(statuses, nodes)
    if len(counted):
        for q in (0.5, 0.99):
            found = estimators.quantile(values, weights, q, censored=stopped, undrawn=undrawn)
            yield Checked(f"nodes p{100 * q:g}", found, at(counted, q), order(nodes, q))


def _comparisons(a: Log, b: Log) -> Iterator[Checked]:
    for name, (_, mean) in POINTS.items():
        first, second = (log.points[name][log.drawn] for log in (a, b))
        found = comparisons.difference((first, a.weights), (second, b.weights))
        naive = welch(first, second)
        yield Checked(f"change of the mean of {name}", found.change, mean * (LIFT - 1), naive)
        share = replace(found.change, value=found.relative, low=found.relative_low, high=found.relative_high)
        if math.isfinite(share.low):  # else the change itself is told
            known = (naive[0] / first.mean(), naive[1] / first.mean())
            yield Checked(f"relative change of the mean of {name}", share, LIFT - 1, known)
    rates = [estimators.failure_rate(log.failed, log.runs, process=True) for log in (a, b)]
    shares = [wald(log.failed, log.failed + len(log.weights)) for log in (a, b)]
    truth = min(a.cell.failing * LIFT, 1.0) - a.cell.failing
    yield Checked("change of the failure rate", comparisons.between(*rates).change, truth, _apart(*shares))
    parts = [estimators.share_of_runs(log.has[0.1][log.drawn], log.weights, process=True) for log in (a, b)]
    shares = [wald(int(log.has[0.1][log.drawn].sum()), len(log.weights)) for log in (a, b)]
    yield Checked("change of a share of 0.1", comparisons.between(*parts).change, 0.1 * (LIFT - 1), _apart(*shares))
    medians = [estimators.quantile(log.took[log.drawn], log.weights, 0.5, process=True) for log in (a, b)]
    orders = [order(log.took[log.drawn], 0.5) for log in (a, b)]
    truth = math.exp(1.5) * (LIFT - 1)
    yield Checked("change of a median", comparisons.between(*medians).change, truth, _apart(*orders))


# ---- what somebody does who takes the log for a simple random sample -----------------------------------------------


def wald(hits: int, of: int) -> tuple[float, float]:
    if of == 0:
        return math.nan, math.nan
    p = hits / of
    half = 1.96 * math.sqrt(p * (1 - p) / of)
    return p - half, p + half


def student(values: Any) -> tuple[float, float]:
    if len(values) < 2:
        return math.nan, math.nan
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


def welch(a: Any, b: Any) -> tuple[float, float]:
    return _apart(student(a), student(b))


def _apart(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    middle, half = (sum(b) - sum(a)) / 2, math.hypot(b[1] - b[0], a[1] - a[0]) / 2
    return middle - half, middle + half


def order(values: Any, q: float) -> tuple[float, float]:
    n = len(values)
    if n == 0:
        return math.nan, math.nan
    half, ranked = 1.96 * math.sqrt(n * q * (1 - q)), np.sort(values)
    return float(ranked[max(int(n * q - half), 0)]), float(ranked[min(math.ceil(n * q + half), n - 1)])


def at(ranked: Any, q: float) -> float:
    return float(ranked[max(math.ceil(q * len(ranked) - 1e-9) - 1, 0)])
