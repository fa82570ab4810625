"""Groups of somebody's own question: simulated logs side by side in one table, and how often their intervals hold the truth.

Every log is a group of groups, so one question of the whole table answers for all of them, by the same statements as in a lake.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from analytics.demo.traffic import logged_runs
from analytics.warehouse.asked_runs import ASKED, Question, Span, gather
from analytics.warehouse.group_estimates import GroupEstimates, estimate_groups
from analytics.warehouse.warehouse import Warehouse

T = TypeVar("T")
SHARES = (0.4, 0.25, 0.15, 0.1, 0.07, 0.03)
"""Of a log's runs: what a group gets is chance, too."""
RATES = (0.05, 0.2)
"""On the first day, and on the second."""
_LIFT = 1.2
"""How much more the second day pays, and how much more often it fails."""
_DAYS = (datetime(2026, 7, 3, tzinfo=UTC), datetime(2026, 7, 4, tzinfo=UTC), datetime(2026, 7, 5, tzinfo=UTC))
_STOPPED = 0.2  # of the failures
_WHAT = tuple(ASKED)
_HEAD = """What `lake.estimate(…, by=…)` says of six groups of a log, which get 3 to 40 % of its runs by chance. The rate changes
from 0.05 to 0.2 on the second of two days, and every second group has skewed points. How many drawn rows a group has is chance,
too, and is in the intervals of its sums. The lower half is the difference of both days (`versus`): of runs and sums as there
were, of means and rates as what the process does, which pays and fails a fifth more on the second day. There users are taken as
independent, not their runs: below, each group has a few users on each day, whose levels of points differ by a lognormal factor of
σ = 0.5; runs taken as independent would hold the truth of such a mean's difference in about 80 of 100. Of 200 uneven users
the one of rank k has a share of the runs like k^−1.2, so that the first has a quarter of them. Where a group is so large that
users are nearly all that is left to chance, the error rests on these few: freed of what each of them is of the mean itself (bias
reduced linearisation), such a mean's difference held in 678 of 700 (20,000 runs on each side, at rate 0.2), and in 660 without."""


@dataclass(frozen=True)
class Covered:
    """How often an estimate's intervals hold the truth, of the groups that are graded good or rough.

    Attributes:
        groups: All.
        graded: Of these.
        held: Of the graded ones.
    """

    groups: int
    graded: int
    held: int

    @property
    def share(self) -> float:
        """Held, of the graded."""
        return self.held / self.graded if self.graded else math.nan


class Logs:
    """Runs of several logs on two days, and what the sampler keeps of them.

    Args:
        logs: How many.
        runs: Of each, on both days together.
        seed: Of all that is chance.
        users: Of each group on each day; each run has its own where it is 0.
        spread: Of the users' levels, σ of a lognormal of mean 1: what a user's runs are paid is times this.
        uneven: The user of rank k has a share of the runs like 1/k to the power of this.
    """

    def __init__(
        self, logs: int, runs: int, seed: int, *, users: int = 0, spread: float = 0.0, uneven: float = 0.0
    ) -> None:
        chance = np.random.default_rng(seed)
        count = logs * runs
        self.log, self._runs = np.repeat(np.arange(logs), runs), runs
        self.group = chance.choice(len(SHARES), count, p=SHARES)
        self.day = chance.integers(0, 2, count)
        lift = np.where(self.day == 1, _LIFT, 1.0)
        self.failed = chance.random(count) < 0.02 * (1 + self.group) * lift
        stopped = self.failed & (chance.random(count) < _STOPPED)
        self.status = np.where(stopped, "timeout", np.where(self.failed, "error", "ok"))
        skewed = np.exp(chance.normal(1, 0.8, count))
        cases = chance.choice([0.0, 10.0, 50.0], count, p=[0.6, 0.3, 0.1])
        self.points = np.where(self.group % 2 == 0, skewed, cases) * lift
        if users:
            shares = np.arange(1, users + 1) ** -uneven
            one = chance.choice(users, count, p=shares / shares.sum()) if uneven else chance.integers(0, users, count)
            self.user = ((self.log * len(SHARES) + self.group) * 2 + self.day) * users + one
            self.points *= np.exp(chance.normal(-(spread**2) / 2, spread, int(self.user.max()) + 1))[self.user]
        else:
            self.user = np.arange(count)
        self.took = np.exp(chance.normal(1.5, 0.7, count)) * lift + np.where(stopped, 500, 0)
        self.nodes = chance.poisson(20 + 10 * self.group)
        rate = np.where(self.day == 1, RATES[1], RATES[0])
        drawn = chance.random(count)
        kept = [logged_runs(self.failed[rate == one], drawn[rate == one], one) for one in RATES]
        self.logged = np.zeros(count, bool)
        for one, keeps in zip(RATES, kept, strict=True):
            self.logged[rate == one] = keeps
        self.weight = np.where(self.failed, 1.0, 1 / rate)

    def lake(self) -> Warehouse:
        """Something to ask: the view executions of the logged rows, and a ledger that knows the rates."""
        connection = duckdb.connect()
        connection.execute("set TimeZone = 'UTC'")
        at, ok = self.logged, ~self.failed[self.logged]
        moments = np.array([day.replace(tzinfo=None, hour=12) for day in _DAYS], "datetime64[us]")[self.day[at]]
        rows = pa.table(
            {
                "created_at": pa.array(moments, pa.timestamp("us", "UTC")),
                "realm_id": pa.repeat("acme", int(at.sum())),
                "log": self.log[at],
                "external_game_id": self.group[at],
                "external_user_id": pa.array(self.user[at]).cast(pa.string()),
                "status": pa.array(self.status[at].tolist()),
                "sampled": ok,
                "sample_weight": self.weight[at],
                "points": pa.array(np.where(ok, self.points[at], 0.0), mask=~ok),
                "duration_ms": self.took[at],
                "nodes_executed": pa.array(np.where(ok, self.nodes[at], 0), pa.int32()),
            }
        )
        ledger = pa.table(
            {
                "realm_id": ["acme"] * 2,
                "day": pa.array([day.date() for day in _DAYS[:2]]),
                "sample_rates": [[one] for one in RATES],
            }
        )
        connection.register("rows", rows)
        connection.register("partitions", ledger)
        connection.execute("create view executions as select *, created_at::date as day from rows")
        return _Asked(connection)  # type: ignore[return-value]  # all that a question asks of a lake

    def of(self, log: int, group: int) -> Any:
        """Places of a group's runs."""
        start = log * self._runs
        return start + np.flatnonzero(self.group[start : start + self._runs] == group)

    def truth(self, mine: Any) -> dict[str, float]:
        """Of some of the runs, as there were; a stopped run is beyond every other."""
        ok, stopped = ~self.failed[mine], self.status[mine] == "timeout"
        paid = self.points[mine][ok]
        took = np.where(stopped, math.inf, self.took[mine])
        needed = np.concatenate([self.nodes[mine][ok], np.full(int(stopped.sum()), math.inf)])
        found = {"est_runs": float(len(ok)), "est_points_sum": float(paid.sum()), "est_points_mean": float(paid.mean())}
        found["est_failure_rate"] = float((~ok).mean())
        for word, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            found |= {f"est_duration_{word}_ms": _at(took, share), f"est_nodes_{word}": _at(needed, share)}
        return found


@dataclass
class _Asked:
    connection: duckdb.DuckDBPyConnection

    def ask(self, question: Callable[[], T]) -> T:
        return question()


def _at(values: Any, share: float) -> float:
    ranked = np.sort(values)
    return float(ranked[max(math.ceil(share * len(ranked) - 1e-9), 1) - 1])


def covered(logs: Logs) -> dict[str, Covered]:
    """Each estimate of every group over both days, the rate having changed in between."""
    question = Question(_WHAT, ("log", "external_game_id"))
    hits: dict[str, list[tuple[bool, bool]]] = {}
    for group in _answer(logs, question):
        truth = logs.truth(logs.of(*group.keys))
        for name, one in group.estimates.items():
            slack = 1e-9 * abs(truth[name])
            is_held = one.low - slack <= truth[name] <= one.high + slack
            hits.setdefault(name, []).append((one.grade != "too few", is_held))
    return {name: _counted(own) for name, own in hits.items()}


def differences(logs: Logs) -> dict[str, Covered]:
    """The difference of two days: of runs and sums as there were, of means and rates as what the process does."""
    question = Question(_WHAT[:3], ("log", "external_game_id"), None, Span(*_DAYS[1:]), Span(*_DAYS[:2]))
    hits: dict[str, list[tuple[bool, bool]]] = {}
    for group in _answer(logs, question):
        mine = logs.of(*group.keys)
        before, after = (logs.truth(mine[logs.day[mine] == day]) for day in (0, 1))
        truth = {name: after[name] - before[name] for name in ("est_runs", "est_points_sum")}
        failing = 0.02 * (1 + group.keys[1])
        mean = math.exp(1 + 0.8**2 / 2) if group.keys[1] % 2 == 0 else 8.0
        truth |= {"est_failure_rate": failing * (_LIFT - 1), "est_points_mean": mean * (_LIFT - 1)}
        for name, one in group.compared.items():
            change = one.difference.change
            is_known = "too few" not in (group.estimates[name].grade, one.before.grade) and math.isfinite(change.low)
            hits.setdefault(name, []).append((is_known, change.low <= truth[name] <= change.high))
    return {name: _counted(own) for name, own in hits.items()}


def _answer(logs: Logs, question: Question) -> list[GroupEstimates]:
    return estimate_groups(question, gather(logs.lake(), question))


def _counted(own: list[tuple[bool, bool]]) -> Covered:
    graded = [held for is_graded, held in own if is_graded]
    return Covered(len(own), len(graded), sum(graded))


def lines(logs: int, runs: int, seed: int) -> Iterator[str]:
    """The section of the page."""
    simulated = Logs(logs, runs, seed)
    yield f"## Groups of one's own question, of {logs:,} logs of {runs:,} runs"
    yield ""
    yield from _HEAD.splitlines()
    yield ""
    yield "| estimate | groups | graded good or rough | of these, interval holds the truth, % |"
    yield "|---|---:|---:|---:|"
    asked = [("", covered(simulated)), ("difference of ", differences(simulated))]
    for users, uneven in ((40, 0.0), (15, 0.0), (200, 1.2)):
        found = differences(Logs(logs, runs, seed + users, users=users, spread=0.5, uneven=uneven))
        told = f"{users} uneven users" if uneven else f"{users} users"
        asked.append((f"{told}: difference of ", {"est_points_mean": found["est_points_mean"]}))
    for kind, found in asked:
        for name, one in found.items():
            share = f"{100 * one.share:.1f}" if one.graded else "–"
            yield f"| {kind}{name} | {one.groups:,} | {one.graded:,} | {share} |"
