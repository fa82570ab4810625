"""A small coverage experiment: the intervals hold what they promise, and the experiment notices when one does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from analytics.demo import simulate
from analytics.estimates import comparisons, estimators, moments, quantiles
from analytics.warehouse import strategy_summary
from tests.intervals.cells import Tally, tallies
from tests.intervals.logs import Cell
from tests.intervals.population import Runs, covered

LOGS, SEED = 300, 20261125
CELLS = (Cell(0.05, 5_000, 0.01), Cell(0.2, 1_000, 0.1))
Break = Callable[[pytest.MonkeyPatch], None]


@cache
def run(cell: Cell) -> dict[str, Tally]:
    return {tally.name: tally for tally in tallies(cell, LOGS, SEED)}


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_graded_intervals_cover_the_truth_in_93_to_99_of_100_logs(cell: Cell) -> None:
    found = run(cell)
    assert [(name, tally.coverage) for name, tally in found.items() if not tally.holds] == []
    assert sum(tally.is_graded and tally.kind == "interval" for tally in found.values()) >= 15
    assert all(tally.logs == LOGS for tally in found.values())


def test_the_naive_interval_is_noticed() -> None:
    found = run(CELLS[1])
    assert found["failure rate"].naive_coverage < 0.5


def _wrong_z(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(estimators, "Z_95", 1.0)


def _wrong_tail(patch: pytest.MonkeyPatch) -> None:
    for module in (estimators, quantiles):
        patch.setattr(module, "TAIL", 0.16)


def _no_factor(patch: pytest.MonkeyPatch) -> None:
    real = moments._moments

    def broken(*arguments: Any, **options: Any) -> moments.Moments:
        found = real(*arguments, **options)
        return replace(found, variance=found.variance / 19)  # Σwy² instead of Σw(w − 1)y²

    patch.setattr(moments, "_moments", broken)


def _failures_are_drawn(patch: pytest.MonkeyPatch) -> None:
    real = estimators.runs
    patch.setattr(
        estimators,
        "runs",
        lambda sampled, weights, squares, kept=0, rate=0.05: real(
            sampled + kept, weights + kept / rate, squares + kept / rate**2, 0, rate
        ),
    )


def _ends_are_swapped(patch: pytest.MonkeyPatch) -> None:
    real = comparisons._apart

    def broken(a: Any, b: Any, **how: Any) -> comparisons.Difference:
        return real(replace(a, low=a.value, high=a.value), replace(b, low=b.value), **how)

    patch.setattr(comparisons, "_apart", broken)


PLANTED: dict[str, tuple[Break, str]] = {
    "a normal quantile of 1": (_wrong_z, "share of 0.5"),
    "tails of 16 % for runs": (_wrong_tail, "runs"),
    "tails of 16 % for quantiles": (_wrong_tail, "duration p50"),
    "tails of 16 % for a process": (_wrong_tail, "failure rate of the process"),
    "no factor w − 1 in a mean": (_no_factor, "mean of exponential"),
    "no factor w − 1 in a total": (_no_factor, "sum of exponential"),
    "failures that count as drawn": (_failures_are_drawn, "failure rate"),
    "one side of a change that is known": (_ends_are_swapped, "change of a median"),
}


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found(monkeypatch: pytest.MonkeyPatch, defect: str) -> None:
    plant, name = PLANTED[defect]
    plant(monkeypatch)
    found = {tally.name: tally for tally in tallies(Cell(0.05, 2_000, 0.1), 80, SEED)}
    assert not found[name].holds, found[name].coverage


# ---- the summary of the demo's population ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    engine = simulate(runs=8_000, days=2, seed=5, workers=1, directory=tmp_path_factory.mktemp("population"))
    return Runs(engine.truth_path, 0.2)


def test_the_summary_covers_the_truth_of_the_demos_strategies(population: Runs) -> None:
    found = {name: counts for name, counts in covered(population, 60, SEED).items() if counts[0] > 200}
    assert len(found) >= 7  # the p99 of some hundred rows is seldom graded
    # 3.1 standard deviations of counting: one in a thousand
    short = {
        name: hits / graded
        for name, (graded, hits) in found.items()
        if hits / graded < 0.95 - 3.1 * math.sqrt(0.05 * 0.95 / graded)
    }
    assert short == {}


def test_a_summary_that_forgets_the_weights_of_its_quantiles_is_found(
    population: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = strategy_summary.quantiles_of_parts

    def broken(parts: Any, *rest: Any, **more: Any) -> Any:
        return real([replace(part, weight=1.0) for part in parts], *rest, **more)

    monkeypatch.setattr(strategy_summary, "quantiles_of_parts", broken)
    graded, hits = covered(population, 5, SEED)["est_duration_p50_ms"]
    assert hits < 0.5 * graded
