"""Logs of one strategy whose failures are known: steady ones, and incidents among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

#: The window begins on this Thursday.
SINCE: Final = datetime(2026, 7, 9, tzinfo=UTC)
CODES: Final = ("DSL_ARITH_DIV_BY_ZERO", "DSL_TIMEOUT", "DSL_UNEXPECTED")
#: How a strategy's failures are shared out among its codes.
SHARES: Final = (0.6, 0.3, 0.1)
#: Runs a day, and days of the window and before it.
A_DAY: Final = 3_000
WINDOW_DAYS, HISTORY_DAYS = 3, 7
_DAY, _HOUR = 86_400, 3_600

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of strategy.

    Attributes:
        rate: Share of the ok runs that is logged.
        failing: Share of the runs that fails.
        history: Whether anything is logged before the window.
        habit: ``steady``; ``nights`` (three times as many fail from midnight to six), ``days`` (the rate of a day is the usual
            one times a factor of its own, whose standard deviation is a half), ``weekends`` (twice as many fail),
            ``redeployed`` (the sampling rate is halved on the second day of the window).
    """

    rate: float
    failing: float
    history: bool
    habit: str = "steady"

    @property
    def days(self) -> int:
        """Days of the log."""
        return WINDOW_DAYS + HISTORY_DAYS * self.history

    @property
    def since(self) -> float:
        """Second of the log at which the window begins."""
        return float(HISTORY_DAYS * self.history * _DAY)

    @property
    def until(self) -> datetime:
        """End of the window."""
        return SINCE + timedelta(days=WINDOW_DAYS)


@dataclass(frozen=True, slots=True)
class Truth:
    """All runs of a log: second of each, the number of its code (-1: ok), and the rate at which ok runs were sampled then."""

    second: Floats
    code: Ints
    rate: Floats


Incident = Callable[[Truth, Cell, np.random.Generator], Truth]


def steady(cell: Cell, rng: np.random.Generator) -> Truth:
    """Runs that fail by chance alone; a quarter as many runs at night as in the evening."""
    wanted = A_DAY * cell.days
    second = rng.uniform(0, cell.days * _DAY, 3 * wanted)
    busy = 0.25 + 0.75 * np.exp(-(((second / _HOUR % 24) - 17) ** 2) / 50)
    second = np.sort(rng.choice(second[rng.random(len(second)) < busy], wanted, replace=False))
    risk = np.full(wanted, cell.failing)
    if cell.habit == "nights":
        risk = risk * np.where(second / _HOUR % 24 < 6, 3.0, 1.0)
    if cell.habit == "days":
        risk = risk * rng.gamma(4.0, 0.25, cell.days)[(second // _DAY).astype(np.int64)]
    if cell.habit == "weekends":  # the log begins on a Thursday
        risk = risk * np.where(np.isin(second // _DAY % 7, (2, 3)), 2.0, 1.0)
    code = np.where(rng.random(wanted) < risk, rng.choice(len(CODES), wanted, p=SHARES), -1)
    halved = (cell.habit == "redeployed") & (second >= cell.since + 1.4 * _DAY)
    return Truth(second, code, np.where(halved, cell.rate / 2, cell.rate))


def _with(truth: Truth, second: Floats, code: int) -> Truth:
    """With failures added."""
    order = np.argsort(np.r_[truth.second, second], kind="stable")
    rate = truth.rate[np.minimum(np.searchsorted(truth.second, second), len(truth.second) - 1)]
    return Truth(
        np.r_[truth.second, second][order],
        np.r_[truth.code, np.full(len(second), code)][order],
        np.r_[truth.rate, rate][order],
    )


def burst(truth: Truth, cell: Cell, rng: np.random.Generator) -> Truth:
    """Forty more runs fail within an hour."""
    begin = cell.since + rng.uniform(0.3, 2.6) * _DAY
    return _with(truth, begin + rng.uniform(0, _HOUR, 40), 0)


def stall(truth: Truth, cell: Cell, rng: np.random.Generator) -> Truth:
    """All runs of ninety seconds time out, forty of them."""
    begin = cell.since + rng.uniform(0.3, 2.6) * _DAY
    held = (truth.second < begin) | (truth.second > begin + 90)
    rest = Truth(truth.second[held], truth.code[held], truth.rate[held])
    return _with(rest, begin + rng.uniform(0, 90, 40), 1)


def new_code(truth: Truth, cell: Cell, rng: np.random.Generator) -> Truth:
    """From some moment on three in a hundred ok runs fail with a code that was not there before."""
    begin = cell.since + rng.uniform(0.3, 2.0) * _DAY
    fails = (truth.second >= begin) & (truth.code < 0) & (rng.random(len(truth.code)) < 0.03)
    code = np.where(fails, 2, np.where(truth.code == 2, -1, truth.code))
    return Truth(truth.second, code, truth.rate)


def doubled(truth: Truth, cell: Cell, rng: np.random.Generator) -> Truth:
    """From some moment of the first day on the most frequent code fails twice as many runs."""
    begin = cell.since + rng.uniform(0.1, 0.9) * _DAY
    more = cell.failing * SHARES[0]
    fails = (truth.second >= begin) & (truth.code < 0) & (rng.random(len(truth.code)) < more)
    return Truth(truth.second, np.where(fails, 0, truth.code), truth.rate)


def logged(truth: Truth, rng: np.random.Generator) -> pd.DataFrame:
    """What the log holds of it: every failure, and ok runs by lot; as ``family_runs`` gives them."""
    failed = truth.code >= 0
    kept = np.flatnonzero(failed | (rng.random(len(failed)) < truth.rate))
    failed, n = failed[kept], len(kept)
    first = pd.Timestamp(SINCE)
    return pd.DataFrame(
        {
            "execution_id": [f"id-{number}" for number in range(n)],
            "created_at": (first + pd.to_timedelta(truth.second[kept], unit="s")).as_unit("us"),
            "strategy_id": "s1",
            "strategy_version": 1,
            "label": "v1",
            "status": np.where(failed, "error", "ok"),
            "error_code": np.where(failed, np.array([*CODES, None], dtype=object)[truth.code[kept]], None),
            "points": np.where(failed, np.nan, 5.0 + kept % 3),
            "case_name": "Case",
            "duration_ms": 5.0,
            "nodes_executed": np.where(failed, 0, 10),
            "sampled": ~failed,
            "sample_weight": np.where(failed, 1.0, 1 / truth.rate[kept]),
            "external_user_id": "u",
            "window_rate": float(truth.rate.min()),
        }
    )
