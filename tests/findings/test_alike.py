"""Logged runs that are all paid alike say how seldom another one is paid otherwise, and never that none is."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analytics.estimates import estimators
from analytics.findings.post_mortem.groups import Group, Split, compare_cases, group_of, split_by_case

RUNS = 300


def side(label: str, points: float, weight: float) -> Group:
    rows = {
        "execution_id": [f"{label}-{number}" for number in range(RUNS)],
        "created_at": pd.date_range("2026-07-01", periods=RUNS, freq="h", tz="UTC"),
        "strategy_id": "s", "strategy_version": 1, "status": "ok", "error_code": None, "sampled": True,
        "external_user_id": "u", "case_name": "Base", "points": points, "sample_weight": weight,
    }  # fmt: skip
    return group_of(label, pd.DataFrame(rows))


def split(points: float, weight: float) -> Split:
    return split_by_case(side("v1", points, weight), side("v2", points, weight))


def test_no_difference_among_the_drawn_is_a_bound_as_the_rule_of_three_has_it() -> None:
    found = split(10.0, 20.0)
    # Of 300 drawn runs none is paid otherwise: up to 3.7 in 300 may be (the upper end of a 95 % interval), by all of 10 points.
    assert found.effect.value == 0 and found.effect.grade == "too few"
    assert found.effect.high == -found.effect.low == pytest.approx(10 * 3.7 / RUNS, rel=0.1)
    assert found.overpaid.high == pytest.approx(found.effect.high * RUNS * 20)
    [case] = compare_cases(side("v1", 10.0, 20.0), side("v2", 10.0, 20.0))
    assert case.overpaid.high == pytest.approx(found.overpaid.high)


def test_of_runs_that_are_all_logged_none_is_paid_otherwise() -> None:
    assert (split(10.0, 1.0).effect.low, split(10.0, 1.0).effect.high) == (0, 0)


def test_of_runs_that_are_paid_nothing_no_amount_is_known() -> None:
    found = split(0.0, 20.0)
    assert (found.effect.low, found.effect.high, found.effect.grade) == (-math.inf, math.inf, "too few")
    assert found.mix.grade == "too few"
    assert estimators.none_differs([20.0] * RUNS, math.nan) is None
