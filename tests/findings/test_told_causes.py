"""What a post-mortem says of planted causes: whole programs, series, failures of a version, what moved without one."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from analytics import api
from analytics.reports.post_mortem import version_story
from tests.planted.causes import LATER, cause
from tests.planted.world import Planted


@pytest.fixture(scope="module")
def told(caused: Planted) -> Any:
    return cache(lambda key: api.post_mortem(caused.warehouse, **cause(key).ask()))


def of(key: str) -> Any:
    """Stories that are planted with ``--long`` only are asked for with it."""
    return pytest.param(key, id=key, marks=[pytest.mark.long] if key in LATER else [])


@pytest.mark.parametrize("key", [of("other_parent"), of("parent_bonus"), of("handed_to_parent")])
def test_another_built_in_is_never_the_same_and_the_likely_cause_where_nothing_else_moved(key: str, told: Any) -> None:
    found = told(key)
    [trial] = found.inquiry.trials
    assert trial.verdict == "cannot tell"
    assert "the built-in was asked with other" in trial.reason or "another built-in was asked" in trial.reason
    assert found.inquiry.incident.kind == "version"
    assert "would have paid (" in found.verdict.text
    assert "Nothing" not in found.how_much().text
    if found.inquiry.incident.cause == "program":
        assert "so its program is the likely cause; it was not tried" in found.verdict.text
    else:
        assert "cannot be told" in found.verdict.text


@pytest.mark.parametrize("key", [of("high_fails"), of("too_deep")])
def test_failures_that_came_with_a_version_are_its_story_and_the_survivors_acquit_nobody(key: str, told: Any) -> None:
    found = told(key)
    incident, [trial] = found.inquiry.incident, found.inquiry.trials
    assert (incident.kind, incident.cause, incident.border.label) == ("failures", "program", "v2")
    assert trial.verdict == "cannot tell"
    assert "that do not fail are paid as v1 would have paid them" in found.verdict.text
    assert "not the version" not in found.verdict.text
    assert all(one.kind != "data" for one in incident.also)


@pytest.mark.parametrize("key", [of("same_height"), of("staircase")])
def test_versions_in_a_row_are_one_series_with_its_total(key: str, told: Any, caused: Planted) -> None:
    found = told(key)
    incident = found.inquiry.incident
    labels = [step.span.label for step in incident.steps]
    assert labels == [f"v{number}" for number in range(2, 2 + len(labels))]
    assert incident.goes_on
    assert not incident.is_over
    true, total = caused.overpaid(cause(key)), incident.total
    assert total.low - (total.value - total.low) <= true <= total.high + (total.high - total.value)
    assert f"{labels[-1]} is live at the end of the window" in "".join(map(str, found.verdict.status))
    assert "All versions of the series together" in found.how_much().text
    assert all(label in found.since().text for label in labels)


@pytest.mark.parametrize("key", [of("taking_turns")])
def test_a_version_that_comes_again_is_one_story_with_the_points_of_all_its_times(
    key: str, told: Any, caused: Planted
) -> None:
    found = told(key)
    incident = found.inquiry.incident
    assert [one["kind"] for one in found.summary()["stories"]] == ["version"]
    assert "in the 2 times that it was live" in found.verdict.text
    true, total = caused.overpaid(cause(key)), incident.total
    assert total.low - (total.value - total.low) <= true <= total.high + (total.high - total.value)
    assert not incident.is_over


@pytest.mark.parametrize("key", [of("built_in_redeployed"), of("built_in_and_renamed")])
def test_a_built_in_that_answers_otherwise_is_named_and_no_client(key: str, told: Any) -> None:
    found = told(key)
    assert (found.inquiry.incident.kind, found.inquiry.incident.cause) == ("data", "built-in")
    assert "What the wrapped built-in answers moved" in found.verdict.text
    assert "clients" not in found.actions().text
    assert "Bound the field" not in found.actions().text
    assert found.summary()["stories"][0]["field"] == "parent.points"


@pytest.mark.parametrize("key", [of("tenfold"), of("shrunk"), of("routed_by_inputs_and_renamed")])
def test_the_field_that_moved_is_named_and_nobody_bounds_a_decrease(key: str, told: Any) -> None:
    found = told(key)
    assert found.inquiry.incident.kind == "data"
    assert f"The input that moved most is {cause(key).path}" in found.verdict.text
    is_more = found.inquiry.incident.points.change.value > 0
    assert ("Bound the field" in found.actions().text) is is_more


@pytest.mark.parametrize("key", [of("less_of_more")])
def test_less_by_the_program_and_more_by_the_mix_are_two_stories_with_their_own_signs(key: str, told: Any) -> None:
    found = told(key)
    stories = found.summary()["stories"]
    points = {one["cause"]: one["points"]["value"] for one in stories}
    assert points["inputs"] > 0 > points["program"]
    assert "version 2 paid" in found.verdict.text
    assert "less for the same runs" in found.verdict.text
    text = found.changed().text
    assert "as v1 pays all" in text or "as v2 pays all" in text


@pytest.mark.parametrize("key", [of("night_by_day_only"), of("alternating")])
def test_few_runs_are_acquitted_together_with_earlier_ones_of_their_hours(key: str, told: Any) -> None:
    found = told(key)
    trials = found.inquiry.trials
    assert {trial.verdict for trial in trials} == {"same"}
    assert any(trial.beside_count > trial.forward.decided_count for trial in trials)
    assert "and so in all" in found.verdict.text


@pytest.mark.parametrize("key", [of("unread_field")])
def test_what_cannot_be_tried_is_not_called_nothing_and_its_worst_is_said(key: str, told: Any) -> None:
    found = told(key)
    [trial] = found.inquiry.trials
    assert (trial.verdict, trial.forward.differing_count) == ("cannot tell", 0)
    assert "all of them paid in case Climb" in found.verdict.text
    # To be passed on, and reached by too few users to be named.
    hidden = version_story.undecided(found.inquiry.trials, {"Climb"})
    assert "cannot be told" in hidden
    assert "Climb" not in hidden
    assert "nothing bounds what they would have been paid" in found.verdict.text
    assert "Nothing to do" not in found.actions().text
    assert "Cannot tell" in found.how_much().text
