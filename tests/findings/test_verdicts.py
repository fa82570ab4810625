"""The judge of the verdicts: what it calls right, unknown, wrong and acquitted; and the verdicts of one log judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.planted.causes import CAUSES, LATER, cause
from tests.planted.engine import simulate
from tests.planted.story import Story
from tests.planted.world import RATE, SEED, Planted
from tests.verdicts import table
from tests.verdicts.judge import Judged, Stated, judge
from tests.verdicts.seeds import Told, ask
from tests.verdicts.truths import Truths

NUMBER = {"value": 8_000.0, "low": 5_000.0, "high": 11_000.0}


Knows = Callable[[str], Truths]


@pytest.fixture(scope="module")
def truths(caused: Planted) -> Knows:
    """What is true of a story; of those that are planted it lies beside their lake."""
    planted = {story.key for story in caused.stories}

    @cache
    def known(key: str) -> Truths:
        story = cause(key)
        return Truths(story, caused.runs(story) if key in planted else simulate(story, SEED).truth)

    return known


def facts(*stories: dict[str, Any], versions: Any = (), verdict: str = "Something.", **rest: Any) -> dict[str, Any]:
    """A summary that says this."""
    return {
        "verdict": verdict,
        "stories": list(stories),
        "versions": list(versions),
        "overpaid": None,
        "percent": None,
        "before": None,
        "after": None,
        **rest,
    }


def told(kind: str = "version", version: int | None = 2, cause: str = "program", **rest: Any) -> dict[str, Any]:
    """One story of a summary."""
    usual = {"field": None, "code": None, "since": "2026-05-13T09:40:00+00:00", "until": None, "is_over": False}
    return {"kind": kind, "version": version, "cause": cause, "points": None, **usual, **rest}


def tried(verdict: str, version: int = 2, earlier: int = 1) -> dict[str, Any]:
    """One version that was tried."""
    return {"version": version, "earlier": earlier, "verdict": verdict}


def outcome(key: str, said: dict[str, Any], truths: Knows) -> str:
    return judge(cause(key), said, truths(key)).outcome


STEADY = ("failures", None, "failures")
INPUTS = {"kind": "data", "version": None, "cause": "inputs"}


@pytest.mark.parametrize(
    ("key", "said", "expected"),
    [
        ("parent_bonus", facts(told()), "right"),
        ("parent_bonus", facts(told(cause="unknown")), "cannot tell"),
        ("parent_bonus", facts(versions=[tried("cannot tell")]), "cannot tell"),
        ("parent_bonus", facts(), "silent"),
        ("parent_bonus", facts(told(), versions=[tried("same")]), "acquitted"),
        ("parent_bonus", facts(told(**INPUTS), verdict="Not by v2: it is not the version."), "acquitted"),
        ("parent_bonus", facts(verdict="Nothing to do now."), "acquitted"),
        ("parent_bonus", facts(told(**INPUTS)), "wrong"),
        ("parent_bonus", facts(told(), told(**INPUTS)), "wrong"),
        ("parent_bonus", facts(told(version=3)), "wrong"),
        ("parent_bonus", facts(told(), told("failures", None, "failures", code="DSL_TIMEOUT")), "wrong"),
        ("staircase", facts(told(versions=[2, 3, 4, 5])), "right"),
        ("staircase", facts(told(versions=[1, 2])), "wrong"),
        ("high_fails", facts(told("failures", None, code="DSL_ARITH_TYPE_MISMATCH")), "right"),
        ("high_fails", facts(told("failures", None, code="DSL_LIMIT_EXCEEDED")), "wrong"),
        ("steady_3", facts(told(*STEADY, code="DSL_ARITH_DIV_BY_ZERO", since=None)), "right"),
        ("steady_3", facts(told(*STEADY, code="DSL_ARITH_DIV_BY_ZERO")), "false alarm"),
        ("steady_3", facts(told(*STEADY, code="DSL_TIMEOUT", since=None)), "false alarm"),
        ("no_change", facts(verdict="Nothing to do now."), "right"),
        ("no_change", facts(told(**INPUTS)), "false alarm"),
        ("renamed_around", facts(versions=[tried("same")], verdict="It is not the version."), "right"),
        ("renamed_around", facts(versions=[tried("differs")]), "false alarm"),
        ("night_by_day_only", facts(versions=[tried("same")]), "right"),
        ("night_published_by_day", facts(versions=[tried("same")]), "acquitted"),
        ("same_height", facts(told(), versions=[tried("differs"), tried("same", 3, 2)]), "right"),
        ("same_height", facts(told(), versions=[tried("same", 3, 1)]), "acquitted"),
        ("same_height", facts(told(), versions=[tried("differs", 3, 2)]), "wrong"),
        ("high_fails", facts(versions=[tried("same")]), "acquitted"),
        ("shrunk", facts(told(**INPUTS, field="data.distance")), "right"),
        ("shrunk", facts(told(**INPUTS)), "cannot tell"),
        ("shrunk", facts(told(**INPUTS, field="data.speed")), "wrong"),
        ("shrunk", facts(told(cause="unknown", version=1)), "wrong"),
        ("built_in_redeployed", facts(told(**INPUTS, field="parent.points")), "wrong"),
        ("built_in_redeployed", facts(told("data", None, "built-in", field="parent.points")), "right"),
        ("burst", facts(told("failures", None, "failures", code="DSL_ARITH_DIV_BY_ZERO", is_over=True)), "right"),
        ("burst", facts(told("failures", None, "failures", code="DSL_ARITH_DIV_BY_ZERO")), "wrong"),
        ("burst", facts(told("failures", None, "failures", code="DSL_TIMEOUT", is_over=True)), "wrong"),
        ("stall_and_version", facts(told()), "in part"),
        (
            "stall_and_version",
            facts(told(), told("failures", None, "failures", code="DSL_TIMEOUT", is_over=True)),
            "right",
        ),
    ],
)
def test_a_summary_is_judged_by_what_is_true(key: str, said: dict[str, Any], expected: str, truths: Knows) -> None:
    assert outcome(key, said, truths) == expected


def test_a_summary_that_lacks_its_keys_is_no_silence(truths: Knows) -> None:
    said = facts(told())
    del said["versions"]
    with pytest.raises(KeyError, match="versions"):
        outcome("parent_bonus", said, truths)


def test_the_stated_numbers_are_held_against_all_runs(truths: Knows, caused: Planted) -> None:
    # Since the change a bonus run is paid 2 points more: so many runs, twice.
    runs = caused.runs(cause("parent_bonus")).to_pylist()
    second = [run for run in runs if run["strategy_version"] == 2 and run["status"] == "ok"]
    bonus = sum(run["case_name"] == "BonusEngagement" for run in second)
    paid = sum(run["points"] for run in second)
    said = facts(
        told(), versions=[tried("differs")], overpaid=NUMBER, percent={**NUMBER, "value": 0.1, "of": "same runs"}
    )
    judged = judge(cause("parent_bonus"), said, truths("parent_bonus"))
    assert judged.overpaid == Stated(8_000, 5_000, 11_000, 2 * bonus)
    assert judged.same is not None and judged.same.true == pytest.approx(paid / (paid - 2 * bonus) - 1)
    assert judged.overpaid.inside is (5_000 <= 2 * bonus <= 11_000)
    assert not judged.same.inside


def test_an_interval_without_an_end_has_everything_on_that_side(truths: Knows) -> None:
    said = facts(told(), overpaid={"value": 1.0, "low": None, "high": None})
    assert judge(cause("parent_bonus"), said, truths("parent_bonus")).overpaid.inside  # type: ignore[union-attr]


def page_of(*outcomes: str, key: str = "parent_bonus", rate: float = 0.05) -> list[Told]:
    return [Told(key, rate, number, "A sentence.", Judged(of)) for number, of in enumerate(outcomes)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pages", "broken"),
    [
        (page_of(*["right"] * 8, "cannot tell", "in part"), []),
        (page_of("right", "acquitted"), ["A guilty version acquitted: never"]),
        (page_of("right", "wrong"), ["A wrong cause, version, field or code named: never"]),
        (page_of(*["right"] * 7, *["silent"] * 3), ["Cannot tell, at rate 0.05: at most 20 %"]),
        (page_of(*["right"] * 7, *["silent"] * 3, rate=0.01), []),
        (
            page_of(*["right"] * 50, "false alarm", key="no_change"),
            ["False alarms on quiet strategies: at most 1 %"],
        ),
        ([Told("no_change", 0.05, 1, "", None, "KeyError: 'x'")], ["No page: never"]),
    ],
)
def test_a_broken_promise_is_named_on_the_page(pages: list[Told], broken: list[str]) -> None:
    assert [promise.words for promise in table.promises(pages) if not promise.is_kept] == broken
    written = table.page(pages, 1)
    assert all(f"| {words} |" in written for words in broken)
    assert written.count("**no**") == len(broken)


TOLD = [
    pytest.param(one, id=one.key, marks=[pytest.mark.long] if one.key in LATER or number % 2 else [])
    for number, one in enumerate(CAUSES)
]


@pytest.mark.parametrize("one", TOLD)
def test_no_verdict_is_wrong(one: Story, caused: Planted) -> None:
    found = ask(caused, one, RATE, SEED)
    assert found.judged is not None
    assert found.judged.outcome not in ("wrong", "acquitted", "false alarm"), f"{found.judged.why}. {found.sentence}"
