"""The demo's whole population, sampled again and again: is what strategy_summary estimates within its intervals?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.demo.traffic import logged_runs
from analytics.estimates.arrays import Bools
from analytics.warehouse import strategy_summary

_STOPPED = ("limit", "timeout")
ESTIMATES = strategy_summary.ESTIMATES


class Runs:
    """Every run of a simulated engine, logged or not.

    Args:
        path: Of the truth (``population.parquet``).
        rate: Of the sampler.
    """

    def __init__(self, path: Path, rate: float) -> None:
        table = pq.read_table(
            path,
            columns=[
                "realm_id",
                "strategy_id",
                "strategy_version",
                "status",
                "points",
                "duration_ms",
                "nodes_executed",
            ],
        )
        self.rate = rate
        self._status = np.array(table["status"].to_pylist(), dtype=object)
        self._points, self._took, self._nodes = (
            table[name].cast(pa.float64()).to_numpy() for name in ("points", "duration_ms", "nodes_executed")
        )
        keys = list(
            zip(*(table[name].to_pylist() for name in ("realm_id", "strategy_id", "strategy_version")), strict=True)
        )
        self.keys = sorted(set(keys), key=repr)
        place = {key: number for number, key in enumerate(self.keys)}
        self._strategy = np.array([place[key] for key in keys])

    def truth(self) -> list[dict[str, float]]:
        """Per strategy, what is true of its runs; a stopped run is beyond every other."""
        return [self._true_of(self._strategy == number) for number in range(len(self.keys))]

    def _true_of(self, mine: Any, *, as_logged: bool = False) -> dict[str, float]:
        status, points, took, nodes = (of[mine] for of in (self._status, self._points, self._took, self._nodes))
        ok, stopped = status == "ok", np.isin(status, _STOPPED)
        paid = points[ok & np.isfinite(points)]
        walked = nodes[ok & ~(np.isnan(points) & (nodes == 0))]
        beyond = took if as_logged else np.where(stopped, math.inf, took)
        needed = nodes if as_logged else np.concatenate([walked, np.full(int(stopped.sum()), math.inf)])
        return {
            "est_runs": len(status),
            "est_failure_rate": float((~ok).mean()),
            "est_points_mean": float(paid.mean()) if len(paid) else math.nan,
            "est_points_sum": float(paid.sum()),
            "est_duration_p50_ms": _at(beyond, 0.5),
            "est_duration_p95_ms": _at(beyond, 0.95),
            "est_duration_p99_ms": _at(beyond, 0.99),
            "est_duration_ok_p99_ms": _at(took[ok], 0.99),
            "est_nodes_p50": _at(needed, 0.5),
            "est_nodes_p99": _at(needed, 0.99),
        }

    def naive(self, seed: int) -> list[dict[str, float]]:
        """What somebody finds who takes the rows of one log for the runs."""
        logged = self._logged(np.random.default_rng(seed))
        return [self._true_of(logged & (self._strategy == number), as_logged=True) for number in range(len(self.keys))]

    def summaries(self, times: int, seed: int) -> Iterator[list[dict[str, Any]]]:
        """The summary of each of some samples, in the order of ``keys``; strategies that were not logged at all are missing."""
        chance = np.random.default_rng(seed)
        for _ in range(times):
            yield strategy_summary.finish(self._gathered(self._logged(chance))).to_pylist()

    def _logged(self, chance: np.random.Generator) -> Bools:
        return logged_runs(self._status != "ok", chance.random(len(self._status)), self.rate)

    def _gathered(self, logged: Any) -> pa.Table:
        """What the statement of strategy_summary gives for these rows."""
        rows: list[dict[str, Any]] = []
        outcome = np.where(self._status == "ok", 0, np.where(np.isin(self._status, _STOPPED), 1, 2))
        for number, key in enumerate(self.keys):
            for code, name in enumerate(("ok", "limit", "error")):
                mine = logged & (self._strategy == number) & (outcome == code)
                if not mine.any():
                    continue
                points, nodes = self._points[mine], self._nodes[mine]
                says = (code == 0) & ~(np.isnan(points) & (nodes == 0))
                rows.append(
                    dict(zip(("realm_id", "strategy_id", "strategy_version"), key, strict=True))
                    | {"family_name": None, "status": name, "is_drawn": code == 0, "smallest_rate": self.rate}
                    | {"sample_weight": 1 / self.rate if code == 0 else 1.0, "logged_count": int(mine.sum())}
                    | {"points": points[np.isfinite(points)] if code == 0 else [], "durations": self._took[mine]}
                    | {"nodes": nodes[says]}
                )
        return pa.Table.from_pylist(rows)


def covered(runs: Runs, times: int, seed: int) -> dict[str, tuple[int, int]]:
    """Of each estimate of some summaries: how many are graded good or rough, and of these how many hold the truth."""
    truth = dict(zip(runs.keys, runs.truth(), strict=True))
    graded: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for rows in runs.summaries(times, seed):
        for row in rows:
            key = (row["realm_id"], row["strategy_id"], row["strategy_version"])
            for name in ESTIMATES:
                if row[f"{name}_grade"] != "too few":
                    graded[name] += 1
                    hits[name] += is_within(row, name, truth[key][name])
    return {name: (graded[name], hits[name]) for name in ESTIMATES}


def is_within(row: dict[str, Any], name: str, truth: float) -> bool:
    """The truth lies in the interval of one estimate of a summary; an end that is NULL is open."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    slack = 1e-9 * abs(truth) if math.isfinite(truth) else 0.0
    return (low is None or low - slack <= truth) and (high is None or truth <= high + slack)


def _at(values: Any, q: float) -> float:
    ranked = np.sort(values)
    return float(ranked[max(math.ceil(q * len(ranked) - 1e-9) - 1, 0)]) if len(ranked) else math.nan
