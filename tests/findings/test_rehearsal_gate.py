"""Conditions of a job that publishes drafts: read from words, held against the cautious end of each number."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from analytics.errors import UsageError
from analytics.estimates.comparisons import Relative
from analytics.estimates.estimate import Estimate
from analytics.findings.rehearsal.gate import conditions
from analytics.findings.rehearsal.rehearsal import PredictedFailure, Rehearsal


def share(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 100, "good")


@dataclass
class Tried:
    rows: range = range(100)


@dataclass
class Program:
    ast: dict[str, Any] = field(default_factory=lambda: {"rules": [], "default": None})


@dataclass
class Found:
    """What a condition reads of a rehearsal."""

    worst_relative: Relative | None = field(default_factory=lambda: Relative(0.04, 0.02, 0.06))
    undecided: Estimate = field(default_factory=lambda: share(0.0, 0.0, 0.03))
    changed: Estimate = field(default_factory=lambda: share(0.3, 0.25, 0.35))
    failures: list[PredictedFailure] = field(default_factory=list)
    most_visits: int | None = 412
    tried: Tried = field(default_factory=Tried)
    program: Program = field(default_factory=Program)


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
        ("changed>34%", True),
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
    assert refused("failures, points>50%", tried=Tried(range(0))) == [
        "failures: no run was tried",
        "points>50%: no run was tried",
    ]
    assert refused("visits>800", most_visits=None) == ["visits>800: nothing bounds it"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("point>5%", r"'point>5%' is no condition.*did you mean 'points'"),
        ("points", "has no limit"),
        ("points>5", r"is a percentage.*write points>5%"),
        ("visits>80%", r"is no percentage.*write visits>80"),
        ("points>=5%", "is no condition"),
        ("points>1e400%", "is no condition"),
        ("points>5% or failures", "is no condition"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_repair(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        conditions([text])
    assert re.search(said, str(caught.value), re.S)
