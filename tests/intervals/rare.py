"""What is rare: jackpots, rows alike but for one in thousands, a share of one in two thousand; every estimator on one log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from analytics.demo.traffic import logged_runs
from analytics.estimates import comparisons, estimators
from tests.intervals.logs import LIFT, Cell, Checked, at, order, student, wald, welch

RATES = (0.01, 0.05, 0.2)
RUNS = (1_000, 5_000, 20_000, 100_000)
UNKNOWN = ", nothing known"
"""Ends the name of an estimator that nobody has told what a run can come to, though it can come to much: no sample tells what was
never drawn, so this is measured, and not promised."""


_USUAL = np.repeat([0.0, 10.0, 20.0], [3, 4, 3])


def _jackpots(one_in: int, times: float) -> Callable[[np.random.Generator, int], Any]:
    def draw(chance: np.random.Generator, n: int) -> Any:
        usual = _USUAL[chance.integers(0, len(_USUAL), n)]
        return np.where(chance.random(n) < 1 / one_in, 10 * times, usual)

    return draw


def _alike(one_in: int, times: float) -> Callable[[np.random.Generator, int], Any]:
    return lambda chance, n: np.where(chance.random(n) < 1 / one_in, 2 * times, 2.0)


JACKPOTS = {
    (500, 40.0): "1 in 500 pays 40 times",
    (1500, 100.0): "1 in 1,500 pays 100 times",
    (5000, 300.0): "1 in 5,000 pays 300 times",
}
ALIKE = {(3000, 100.0): "alike but for 1 in 3,000 of 100 times", (3000, 0.0): "alike but for 1 in 3,000 of nothing"}
RARE_SHARE = 1 / 2000


class RareCell(Cell):
    """A kind of log with something rare in it."""

    __slots__ = ()

    @property
    def is_of_what_is_rare(self) -> bool:
        """It is."""
        return True


def cells() -> list[RareCell]:
    """All of them."""
    return [RareCell(rate, runs, 0.0) for rate in RATES for runs in RUNS]


def check(cell: Cell, chance: np.random.Generator) -> Iterator[Checked]:
    """Every estimator on what is rare."""
    drawn, other = (logged_runs(False, chance.random(cell.runs), cell.rate) for _ in range(2))
    weights, others = (np.full(int(of.sum()), 1 / cell.rate) for of in (drawn, other))
    for (one_in, times), name in JACKPOTS.items():
        draw = _jackpots(one_in, times)
        paid, also = draw(chance, cell.runs), draw(chance, cell.runs) * LIFT
        seen, beside = paid[drawn], also[other]
        low, high = student(seen)
        ends, rows = (0.0, 10 * times), len(seen) / cell.rate
        yield Checked(f"mean, {name}", estimators.mean(seen, weights, ends=ends), float(paid.mean()), (low, high))
        found = estimators.total(seen, weights, ends=ends)
        yield Checked(f"sum, {name}", found, float(paid.sum()), (low * rows, high * rows))
        yield Checked(f"mean, {name}{UNKNOWN}", estimators.mean(seen, weights), float(paid.mean()), (low, high))
        change = comparisons.difference((seen, weights), (beside, others)).change
        truth = (10 * times / one_in + 10 * (1 - 1 / one_in)) * (LIFT - 1)
        yield Checked(f"change, {name}{UNKNOWN}", change, truth, welch(seen, beside))
        ranked = np.sort(paid)
        for q, found in zip((0.5, 0.99), estimators.quantiles(seen, weights, (0.5, 0.99)), strict=True):
            yield Checked(f"p{100 * q:g}, {name}", found, at(ranked, q), order(seen, q))
    for (one_in, times), name in ALIKE.items():
        paid = _alike(one_in, times)(chance, cell.runs)
        yield Checked(f"mean, {name}", estimators.mean(paid[drawn], weights), float(paid.mean()), student(paid[drawn]))
    has = chance.random(cell.runs) < RARE_SHARE
    found = estimators.share_of_runs(has[drawn], weights)
    yield Checked("share of 1 in 2,000", found, float(has.mean()), wald(int(has[drawn].sum()), len(weights)))
