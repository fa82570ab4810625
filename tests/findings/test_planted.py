"""The post-mortem against the planted stories: what happened, which version, since when, how many points."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import duckdb
import pytest

from analytics import api
from tests.planted.stories import STORIES, Story, story
from tests.planted.world import Planted


@pytest.fixture(scope="module")
def report(planted: Planted) -> Any:
    """The post-mortem of a story; made once."""
    return cache(lambda key: api.post_mortem(planted.warehouse, **story(key).ask()))


@pytest.fixture(scope="module")
def facts(report: Any) -> Any:
    """What it says."""
    said = cache(lambda key: report(key).summary())
    return lambda told: said(told.key)


LATER = [one.key for one in STORIES[1::2]]
"""Stories that ``make prove`` has and ``make test`` has not."""


def each(count: int = 1, **wanted: bool) -> Any:
    """One test for each story, or always for one in so many; only those with (or without) what is wanted."""
    chosen = [
        one for one in STORIES if all((getattr(one, name) not in (None, False)) is on for name, on in wanted.items())
    ]
    # A story that is not told at all is what saves time; every question keeps some.
    cases = [
        pytest.param(one, id=one.key, marks=[pytest.mark.long] if one.key in LATER or number % count else [])
        for number, one in enumerate(chosen)
    ]
    return pytest.mark.parametrize("told", cases)


def truth(planted: Planted, question: str, **values: Any) -> list[tuple[Any, ...]]:
    """Ask the truth of every run, as ``runs``."""
    connection = duckdb.connect()
    connection.register("runs", planted.truth)
    return connection.execute(question, values).fetchall()


# ---- the matrix ------------------------------------------------------------------------------------------------------


@each(2)
def test_the_kind_is_the_right_one(told: Story, facts: Any) -> None:
    found = facts(told)
    assert found["kind"] in told.kinds, f"{told.words} The verdict: {found['verdict']}"


@each(version=True)
def test_the_version_is_named(told: Story, facts: Any) -> None:
    found = facts(told)
    if found["kind"] == "quiet":
        assert "quiet" in told.kinds
        return
    assert (found["before"]["version"], found["after"]["version"]) == (1, told.version), found["verdict"]


@each(version=False)
def test_no_version_is_blamed_where_none_is_to_blame(told: Story, facts: Any) -> None:
    found = facts(told)
    assert found["kind"] != "version", found["verdict"]
    assert not found["verdict"].startswith("Version"), found["verdict"]


@each(moment=True)
def test_the_moment_is_found(told: Story, facts: Any) -> None:
    found = facts(told)
    if found["kind"] == "quiet" and "quiet" in told.kinds:
        return
    said = found["error_code_since"] or found["after"]["since"]
    assert told.moment is not None
    assert abs(datetime.fromisoformat(said) - told.moment) <= told.tolerance, found["verdict"]


@each(code=True)
def test_the_error_code_is_named(told: Story, facts: Any) -> None:
    assert facts(told)["error_code"] == told.code


@each(2, code=False)
def test_stray_timeouts_are_no_finding(told: Story, facts: Any) -> None:
    assert facts(told)["error_code"] is None


@each(rollback=True)
def test_the_rollback_is_dated(told: Story, facts: Any) -> None:
    found = facts(told)
    assert told.rollback is not None
    assert found["rollback_at"] is not None
    assert abs(datetime.fromisoformat(found["rollback_at"]) - told.rollback) <= told.tolerance


@each(2, rollback=False)
def test_no_rollback_is_made_up(told: Story, facts: Any) -> None:
    assert facts(told)["rollback_at"] is None


@each(counterfactual=True)
def test_the_overpaid_points_lie_in_an_interval_that_says_something(told: Story, facts: Any, planted: Planted) -> None:
    true = planted.overpaid(told)
    found = facts(told)["overpaid"]
    low, value, high = found["low"], found["value"], found["high"]
    assert low <= true <= high
    assert low > 0 or high < 0, "an interval around zero holds every answer"
    assert value - 2 * (value - low) <= true <= value + 2 * (high - value)


def test_two_changes_that_cancel_are_not_called_a_change_of_points_per_run(facts: Any) -> None:
    found = facts(story("cancels"))
    assert found["points_per_run_change"]["low"] <= 0 <= found["points_per_run_change"]["high"]


def test_a_shifted_mix_is_told_from_other_amounts(facts: Any) -> None:
    found = facts(story("mix"))
    effect, mix = found["effect_per_run"], found["mix_per_run"]
    assert mix["low"] > 0
    assert abs(effect["value"]) < 0.1 * mix["value"]
    assert not any(case["amount_changed"] for case in found["cases"])


def test_one_game_only_is_what_fails(planted: Planted) -> None:
    told = story("text_minutes")
    rows = truth(
        planted,
        "select distinct external_game_id, created_at >= $moment from runs where story = $story and error_code = $code",
        story=told.key,
        code=told.code,
        moment=told.moment,
    )
    assert rows == [("tablet", True)]


def test_ten_rows_are_said_to_be_ten(facts: Any) -> None:
    found = facts(story("ten_rows"))
    assert found["logged_count"] == 10


@pytest.mark.parametrize("key", ["ten_rows", "only_failures", "shared_id", "long_traces", "veto", "metres"])
def test_every_section_stands_where_something_is_missing(key: str, report: Any) -> None:
    found = report(key)
    for section in (found.head, found.since, found.changed, found.why, found.runs_explained, found.who, found.failures):
        assert section().html


# ---- is the truth true? ----------------------------------------------------------------------------------------------


def test_the_lake_holds_the_logged_runs_of_the_truth(planted: Planted) -> None:
    held = planted.warehouse.sql(
        "select execution_id, realm_id, strategy_version, status, points, case_name from executions order by 1"
    ).fetchall()
    expected = truth(
        planted,
        "select execution_id, realm, strategy_version, status, points, case_name from runs where logged order by 1",
    )
    assert held == expected
    logged = dict(truth(planted, "select story, count(*) from runs where logged group by 1"))
    assert len(logged) == len(STORIES) >= 14
    for told in STORIES:
        small = told.logged or told.key == "only_failures"
        assert small or 250 <= logged[told.key] <= 1500, told.key


@pytest.mark.parametrize(
    ("key", "more"), [("half_more_rolled_back", 5), ("pays_less", -4), ("shared_id", 5), ("rollout", 5)]
)
def test_what_a_run_would_have_been_paid_agrees_with_the_amounts_of_its_case(
    key: str, more: int, planted: Planted
) -> None:
    rows = truth(
        planted,
        "select coalesce(case_name, '') = 'Fast' and strategy_version = 2, points - points_baseline, count(*) from runs "
        "where story = $key and status = 'ok' group by 1, 2 order by 1",
        key=key,
    )
    assert [(is_fast, change) for is_fast, change, _ in rows] == [(False, 0), (True, more)]
    assert planted.overpaid(story(key)) == more * rows[1][2]


def test_far_rides_pay_half_as_much_again_per_kilometre(planted: Planted) -> None:
    [(ratio,)] = truth(
        planted,
        "select max(abs(points / points_baseline - 1.5)) from runs "
        "where story = 'half_more' and case_name = 'Far' and strategy_version = 2",
    )
    assert ratio < 1e-9


def test_renamed_rules_pay_every_run_the_same(planted: Planted) -> None:
    told = story("renamed")
    assert truth(
        planted,
        "select count(*) filter (strategy_version = 2) > 1000, bool_and(points = points_baseline) from runs "
        "where story = 'renamed' and status = 'ok'",
    ) == [(True, True)]
    rules = {number: program["rules"] for number, program in told.family.programs.items()}
    assert rules[1][0]["then"][0]["id"] != rules[2][2]["then"][0]["id"]


def test_both_weekends_differ_from_the_week_and_not_from_each_other(planted: Planted) -> None:
    rows = truth(
        planted,
        """select isodow(created_at at time zone 'UTC') > 5 as at_weekend, created_at >= '2026-05-11 00:00Z', avg(points)
           from runs where story = 'weekend' and status = 'ok' group by 1, 2 order by 1, 2""",
    )
    week, weekend = [mean for at_weekend, _, mean in rows if not at_weekend], [mean for at, _, mean in rows if at]
    assert min(weekend) > 1.5 * max(week)
    assert abs(weekend[0] - weekend[1]) < 0.3
    assert abs(week[0] - week[1]) < 0.3


def test_for_three_hours_both_versions_run_side_by_side(planted: Planted) -> None:
    told = story("rollout")
    assert told.moment is not None
    rows = truth(
        planted,
        "select strategy_version, created_at from runs where story = 'rollout' order by created_at",
    )
    second = [moment for version, moment in rows if version == 2]
    last_of_first = max(moment for version, moment in rows if version == 1)
    assert told.moment <= second[0] < told.moment + timedelta(minutes=30)
    assert told.moment + timedelta(hours=2) < last_of_first < told.moment + told.rollout


def test_slow_fields_change_durations_and_no_points(planted: Planted) -> None:
    for key in ("slow_version", "slow_field"):
        told = story(key)
        [(paid, before, after)] = truth(
            planted,
            "select bool_and(points = points_baseline), median(duration_ms) filter (created_at < $moment), "
            "median(duration_ms) filter (created_at >= $moment) from runs where story = $key and status = 'ok'",
            key=key,
            moment=told.moment,
        )
        assert paid
        assert before < 10 < 50 < after


def test_long_traces_are_cut_before_the_rule_that_pays(planted: Planted) -> None:
    [(cut, entries, paying)] = planted.warehouse.sql(
        """select avg((nodes_executed > 200)::int), max(len(trace)),
                  count(*) filter (nodes_executed > 200 and paying) from (
               select *, list_contains(list_transform(trace, lambda entry: entry.type), 'assign_points') as paying
               from executions)
           where case_name in ('Quick change', 'Travelled')"""
    ).fetchall()
    assert cut > 0.8
    assert (entries, paying) == (200, 0)


@each(2)
def test_every_section_stands_and_every_trace_fits_its_program(told: Story, report: Any, facts: Any) -> None:
    found = report(told.key)
    for section in (found.strip, found.changed, found.why, found.how_much, found.who, found.actions, found.sure):
        assert section().html
    assert facts(told)["replay"]["unfit"] == 0
