"""Conditions of a job that publishes drafts: read from words, held against the cautious end of each number."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from analytics.demo.dsl import assign, compare, rule
from analytics.errors import UsageError
from analytics.estimates.comparisons import Relative
from analytics.estimates.estimate import Estimate
from analytics.findings.rehearsal.gate import conditions
from analytics.findings.rehearsal.parts import PredictedFailure
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.rehearsal.rehearsed_runs import VersionRuns


def share(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 100, "good")


def tried(count: int = 100, open_count: int = 0, changed_count: int = 30, *, may_fail: bool = True) -> Any:
    """Runs that were paid 10, some of them otherwise then; the undecided ones, behind them, between 0 and 20, may fail."""
    place = np.arange(count)
    is_open = place >= count - open_count
    low = np.where(is_open, 0.0, np.where(place < changed_count, 12.0, 10.0))
    rows = pd.DataFrame(
        {
            "points": 10.0,
            "low": low,
            "high": np.where(is_open, 20.0, low),
            "weight": 1.0,
            "visits": np.where(is_open, np.nan, 412.0),
            "may_fail": is_open & may_fail,
            "is_decided": ~is_open,
            "is_changed": place < changed_count,
        }
    )
    return SimpleNamespace(rows=rows)


def paying(**compared: Any) -> Any:
    """A program of one rule."""
    test = compare("data.a", compared.get("op", "=="), compared.get("to", "x"))
    return SimpleNamespace(
        ast={"rules": [rule(test, assign(compared.get("pays", 5), "A"))]},
        strategy_type=compared.get("kind", "DSL_FULL"),
    )


@dataclass
class Found:
    """What a condition reads of a rehearsal."""

    worst_relative: Relative | None = field(default_factory=lambda: Relative(0.04, 0.02, 0.06))
    undecided: Estimate = field(default_factory=lambda: share(0.0, 0.0, 0.03))
    failures: list[PredictedFailure] = field(default_factory=list)
    most_visits: int | None = 412
    tried: Any = field(default_factory=tried)
    program: Any = field(default_factory=paying)
    beside: tuple[str, Any] | None = None
    is_same: bool = False


def refused(text: str, **given: Any) -> list[str]:
    found = cast(Rehearsal, Found(**given))
    return [why for condition in conditions(text.split(",")) if (why := condition.refuses(found))]


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("points>5%", True),  # the interval reaches to 6 %: it is not shown to be below
        ("points>6%", False),
        ("points<0%", False),
        ("points<2.5%", True),
        ("undecided>2%", True),
        ("undecided>3%", False),
        ("changed>29%", True),
        ("changed>31%", False),
        ("failures", False),
        ("visits>411", True),
        ("visits > 412", False),
        ("visits<500", True),
    ],
)
def test_a_condition_is_held_against_the_cautious_end(text: str, is_refused: bool) -> None:
    assert bool(refused(text)) is is_refused


def test_undecided_runs_count_at_their_worst() -> None:
    [why] = refused("points>10%", worst_relative=Relative(0.04, -0.01, 0.11))
    assert why == "points>10%: points beyond what was paid, undecided runs at their worst: -1 to 11 %"
    assert refused("points>10%", worst_relative=Relative(0.04, -math.inf, 0.08)) == []
    [why] = refused("points<-10%", worst_relative=Relative(0.04, -math.inf, 0.08))
    assert why == "points<-10%: nothing bounds it"
    [why] = refused("points>10%", worst_relative=None)
    assert why == "points>10%: nothing bounds it"


def test_failures_are_counted_and_nothing_tried_proves_nothing() -> None:
    failing = PredictedFailure("DSL_ARITH_DIV_BY_ZERO", 3, share(0.03, 0.01, 0.08), "run-1")
    assert refused("failures", failures=[failing]) == ["failures: tried runs that would fail: 3"]
    assert refused("failures>3", failures=[failing]) == []
    assert refused("failures, points>50%", tried=tried(0)) == [
        "failures: no run was tried",
        "points>50%: no run was tried",
    ]
    unknown = tried(3, open_count=3)
    assert refused("visits>800", most_visits=None, tried=unknown) == [], "no run of so small a program can"
    malformed = SimpleNamespace(ast={"rules": [{"then": [5]}]}, strategy_type="DSL_FULL")
    assert refused("visits>800", most_visits=None, tried=unknown, program=malformed) == [
        "visits>800: nothing bounds it"
    ]


@pytest.mark.parametrize("may", [False, True])
def test_undecided_runs_may_fail_where_what_the_log_does_not_tell_makes_them(may: bool) -> None:
    some = {"tried": tried(open_count=7, changed_count=0, may_fail=may), "undecided": share(0.07, 0.03, 0.14)}
    why = ["failures: tried runs that would fail: 0 to 7, undecided ones at their worst"]
    assert refused("failures", **some) == (why if may else [])
    assert refused("failures>7", **some) == []
    assert refused("failures") == [], "every run is decided"


def test_a_run_that_is_paid_nothing_whatever_it_reads_may_still_fail() -> None:
    some = tried(open_count=7, changed_count=0)
    some.rows = some.rows.assign(is_decided=True, high=some.rows["low"])
    assert refused("failures, undecided>0%", tried=some, undecided=share(0.0, 0.0, 0.0)) == [
        "failures: tried runs that would fail: 0 to 7, undecided ones at their worst"
    ]


def test_undecided_runs_may_be_paid_otherwise_and_visit_what_the_program_can() -> None:
    some = {"tried": tried(open_count=7), "undecided": share(0.07, 0.03, 0.14)}
    [why] = refused("changed>36%", **some)
    assert why == "changed>36%: runs paid otherwise: 30 to 37 %, undecided ones at their worst"
    assert refused("changed>37%, changed<30%", **some) == []
    sure = tried(open_count=7)
    sure.rows["high"] = np.minimum(sure.rows["high"], 9.0).where(~sure.rows["is_decided"], sure.rows["high"])
    assert refused("changed<37%", tried=sure, undecided=some["undecided"]) == [], (
        "all seven were paid more than they can be"
    )
    # One rule with a comparison of two operands, one statement with its value: seven visits with the program itself.
    assert refused("visits>411", most_visits=5, **some) == [] and refused("visits>6", most_visits=5, **some)
    assert refused("visits>7", most_visits=5, **some) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("point>5%", r"'point>5%' is no condition.*did you mean 'points'"),
        ("points", "has no limit"),
        ("points>5", r"is a percentage.*write points>5%"),
        ("visits>80%", r"is no percentage.*write visits>80"),
        ("points>=5%", "is no condition"),
        (" untried", "^'untried' has no limit"),
        ("points>1e400%", "is no condition"),
        ("points>5% or failures", "is no condition"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_repair(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        conditions([text])
    assert re.search(said, str(caught.value), re.S)


@pytest.mark.parametrize(("is_part", "share_untried"), [(False, 0.3), (True, 0.2)])
def test_runs_of_versions_that_could_not_be_tried_are_a_number_of_their_own(
    is_part: bool, share_untried: float
) -> None:
    some = tried()
    some.versions = [
        VersionRuns("v1", "a", 1, 20, 0, 0, 0, "its definition is not in the lake"),
        VersionRuns("v2", "b", 2, 80, 0, 70, 70),
    ]
    some.logged_count = 100
    found = cast(Rehearsal, SimpleNamespace(tried=some, is_part=is_part, beside=None))
    [above, below] = conditions([f"untried>{100 * share_untried - 1:g}%", f"untried>{100 * share_untried:g}%"])
    assert above.refuses(found) and not below.refuses(found)
