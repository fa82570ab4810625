"""Is the truth of the stories with a cause true?"""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from tests.planted.causes import CAUSES, GUILTY, INNOCENT, LATER, cause
from tests.planted.story import Story
from tests.planted.world import Planted


def each(stories: tuple[Story, ...]) -> Any:
    cases = [
        pytest.param(found, id=found.key, marks=[pytest.mark.long] if found.key in LATER else []) for found in stories
    ]
    return pytest.mark.parametrize("told", cases)


@pytest.fixture(scope="module")
def truth(caused: Planted) -> Any:
    """Ask the truth of every run, as ``runs``; ``paid_by`` is a map, so ``paid_by[2]`` is what version 2 pays."""
    connection = duckdb.connect()
    connection.register("runs", caused.truth)
    return lambda question, *values: connection.execute(question, values).fetchall()


def test_every_story_has_a_name_of_its_own_and_a_family_of_its_own() -> None:
    assert len({found.key for found in CAUSES}) == len(CAUSES) >= 40
    assert len({(found.family.realm, found.family.name) for found in CAUSES}) == len(CAUSES)


@each(GUILTY)
def test_a_guilty_version_pays_or_fails_otherwise_than_the_one_before_it(told: Story, truth: Any) -> None:
    for version in told.guilty - ({3} if told.key == "same_height" else set()):
        [(runs, otherwise)] = truth(
            "select count(*), count(*) filter (paid_by[$2] is distinct from paid_by[$3]) from runs "
            "where story = $1 and strategy_version = $2 and paid_by is not null",
            told.key,
            version,
            version - 1,
        )
        assert otherwise >= 0.04 * runs > 0


@each(INNOCENT)
def test_an_innocent_version_pays_each_of_its_runs_as_the_first_one(told: Story, truth: Any) -> None:
    [(paid, same)] = truth(
        "select count(*), count(*) filter (points = points_baseline and points = paid_by[1]) from runs "
        "where story = $1 and status = 'ok'",
        told.key,
    )
    assert paid == same > 10_000


def test_a_run_is_paid_what_its_own_version_pays(truth: Any) -> None:
    [(paid, own)] = truth(
        "select count(*), count(*) filter (points = paid_by[strategy_version]) from runs where status = 'ok'"
    )
    assert paid == own > 100_000


def test_a_bonus_of_twelve_instead_of_ten_is_two_points_in_every_bonus_run_and_none_elsewhere(truth: Any) -> None:
    assert truth(
        "select distinct case_name, paid_by[2] - paid_by[1] from runs "
        "where story = 'parent_bonus' and status = 'ok' order by 1"
    ) == [("BasicEngagement", 0), ("BonusEngagement", 2)]


def test_what_the_pre_phase_set_decides_in_the_post_phase(truth: Any) -> None:
    assert truth("select distinct paid_by[1], paid_by[2] from runs where story = 'handed_data' and status = 'ok'") == [
        (10, 1)
    ]


def test_a_built_in_deployed_anew_pays_half_as_much_again_since_then_under_the_same_program(truth: Any) -> None:
    assert truth(
        """select created_at >= '2026-05-13 09:30Z',
                  -- Two points of it are the program's own, for whoever brings friends.
                  min(points) = 5 and max(points) = 17, min(points) = 7.5 and max(points) = 24.5, count(*) > 1000
           from runs where story = 'built_in_redeployed' and status = 'ok' group by 1 order by 1"""
    ) == [(False, True, False, True), (True, False, True, True)]


def test_runs_and_definitions_name_the_built_in_of_their_version(caused: Planted) -> None:
    asked = """select distinct strategy_version, parent_strategy_id, strategy_type from executions
               where strategy_id in (select strategy_id from definitions where family_name = 'Other parent') order by 1"""
    named = [(1, "default", "DSL_EXTEND"), (2, "constantEffortStrategy", "DSL_EXTEND")]
    assert caused.warehouse.sql(asked).fetchall() == named
    defined = """select strategy_version, parent_strategy_id, strategy_type
                 from definitions where family_name = 'Other parent' order by 1"""
    assert caused.warehouse.sql(defined).fetchall() == named
    bonus = """select strategy_version, ast_json->'parent_variables'->>'variable_bonus_points'
               from definitions where family_name = 'Bonus' order by 1"""
    assert caused.warehouse.sql(bonus).fetchall() == [(1, "10"), (2, "12")]


def test_the_same_runs_are_paid_half_more_and_all_of_them_nearly_three_quarters(truth: Any) -> None:
    [(same, raw)] = truth(
        """select sum(points) filter (second) / sum(points_baseline) filter (second) - 1,
                  avg(points) filter (second) / avg(points) filter (not second) - 1
           from (select *, strategy_version = 2 as second from runs where story = 'half_more_of_more' and status = 'ok')"""
    )
    assert same == pytest.approx(0.49, abs=0.01)
    assert raw == pytest.approx(0.72, abs=0.05)


@pytest.mark.parametrize(("key", "low", "high"), [("steady_0_1", 0, 0.002), ("steady_3", 0.025, 0.035)])
def test_a_steady_rate_is_steady(key: str, low: float, high: float, truth: Any) -> None:
    weeks = truth(
        "select avg((error_code = 'DSL_ARITH_DIV_BY_ZERO')::int) from (select coalesce(error_code, '') as error_code, "
        "created_at from runs where story = $1) group by created_at >= '2026-05-11'",
        key,
    )
    assert all(low <= rate <= high for (rate,) in weeks)


def test_a_stall_times_out_and_says_nothing_of_any_program(truth: Any) -> None:
    told = cause("stall_and_version")
    [stall] = told.stalls
    [(runs, out, paid)] = truth(
        "select count(*), count(*) filter (error_code = 'DSL_TIMEOUT'), count(paid_by) filter (status = 'timeout') "
        "from runs where story = $1 and created_at >= $2 and created_at < $3",
        told.key,
        stall.since,
        stall.until,
    )
    assert 0.75 * runs < out <= runs
    assert paid == 0
