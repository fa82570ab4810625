"""A version is acquitted where its program pays the same on the same inputs, and is not let off where it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planted.stories import story

from analytics import api
from analytics.findings.weighed import pays_otherwise, weighed


@pytest.fixture(scope="module")
def guilty(planted: Any) -> Any:
    return api.post_mortem(planted.warehouse, **story("half_more").ask()).inquiry


@pytest.fixture(scope="module")
def innocent(planted: Any) -> Any:
    """Another program by its ids only."""
    return api.post_mortem(planted.warehouse, **story("renamed").ask()).inquiry


def test_a_version_that_pays_more_on_the_same_inputs_stays_the_finding(guilty: Any) -> None:
    assert weighed(guilty.compared, guilty.counterfactual.forward) is guilty.compared


def test_a_version_that_pays_the_same_is_acquitted_and_the_reason_told(guilty: Any, innocent: Any) -> None:
    same = innocent.counterfactual.forward
    assert same.differing_count == 0
    found = weighed(guilty.compared, same)
    assert (found.kind, found.border, found.rollback) == ("data", None, None)
    assert "it is not the version" in found.reason


def test_what_else_was_found_comes_before_an_acquitted_version(guilty: Any, innocent: Any) -> None:
    slower = replace(guilty.compared, kind="duration", also=())
    found = weighed(replace(guilty.compared, also=(slower,)), innocent.counterfactual.forward)
    assert [found.kind, *(other.kind for other in found.also)] == ["duration", "data"]


def test_without_a_telling_replay_the_comparison_stands(guilty: Any) -> None:
    assert weighed(guilty.compared, None) is guilty.compared


def test_only_a_quiet_strategy_that_does_pay_otherwise_is_told_so(guilty: Any, innocent: Any) -> None:
    quiet = replace(guilty.compared, kind="quiet")
    assert pays_otherwise(quiet, guilty.counterfactual.forward)
    assert not pays_otherwise(quiet, innocent.counterfactual.forward)
    assert not pays_otherwise(quiet, None)
    assert not pays_otherwise(guilty.compared, guilty.counterfactual.forward)


def test_the_page_of_an_unchanged_program_says_that_nothing_was_overpaid(planted: Any) -> None:
    found = api.post_mortem(planted.warehouse, **story("renamed").ask())
    assert "Nothing: on the same inputs v1 pays what v2 paid, in every one of the" in found.how_much().text


def test_a_version_that_pays_some_more_and_others_less_is_not_acquitted_though_they_cancel(planted: Any) -> None:
    inquiry = api.post_mortem(planted.warehouse, **story("cancels").ask()).inquiry
    forward = inquiry.counterfactual.forward
    assert forward.differing_count > 0
    assert forward.difference.low <= 0 <= forward.difference.high
    found = replace(inquiry.compared, kind="version")
    assert weighed(found, forward) is found
    assert not pays_otherwise(replace(found, kind="quiet"), forward)
