"""Moments of sums are those of the rows that were summed up."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from analytics.estimates.moments import of_mean, of_total
from analytics.estimates.summed import Sums, mean_of_sums, total_of_sums

VALUES = {
    "skewed": lambda chance, n: chance.exponential(10, n),
    "large and near": lambda chance, n: chance.normal(1e9, 1, n),
    "alike": lambda _, n: np.full(n, 7.0),
    "beyond squares": lambda chance, n: chance.normal(0, 1, n) * 1e200,
    "cases": lambda chance, n: chance.choice([0.0, 10.0, 100.0], n),
    "tiny": lambda chance, n: chance.normal(0, 1, n) * 1e-100,
}
WEIGHTS = {"one": [20.0], "failures": [20.0, 1.0], "several": [1.5, 5.0, 20.0], "all": [1.0], "unknown": [20.0, np.nan]}


def sums_of(y: Any, w: Any, pivot: float, unit: float) -> list[Sums]:
    found = []
    for weight in np.unique(w[~np.isnan(w)]):
        own = y[w == weight]
        away = own / unit - pivot / unit
        powers = tuple(float((away**power).sum()) for power in (1, 2, 3, 4))
        found.append(
            Sums(float(weight), len(own), float(own.min()), float(own.max()), float(abs(own / unit).sum()), powers)  # type: ignore[arg-type]
        )
    return found


@pytest.mark.parametrize("process", [False, True], ids=["runs", "process"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("values", VALUES)
def test_moments_of_sums_are_those_of_the_rows(values: str, weights: str, process: bool) -> None:
    chance = np.random.default_rng(5)
    for n in (1, 2, 40, 350):
        y, w = VALUES[values](chance, n), chance.choice(WEIGHTS[weights], n)
        largest = float(abs(y).max())
        unit = 1.0 if 1e-60 < largest < 1e60 else largest
        pivot = float(y.mean()) if unit == 1 else 0.0
        for of_rows, of_sums in ((of_mean, mean_of_sums), (of_total, total_of_sums)):
            expected = of_rows(y, w, process=process)
            found = of_sums(sums_of(y, w, pivot, unit), pivot, unit, process=process)
            exact = ("drawn", "count", "are_alike", "is_process")
            assert [getattr(found, name) for name in exact] == [getattr(expected, name) for name in exact]
            for name in ("drawn_alike", "unseen", "effective_count", "runs"):
                assert getattr(found, name) == pytest.approx(getattr(expected, name))
            a, b = (dataclasses.astuple(one.estimate())[:3] for one in (expected, found))
            assert b == pytest.approx(a, rel=1e-7, abs=1e-9 * expected.scale * expected.unit, nan_ok=True)
            assert found.estimate().grade == expected.estimate().grade
