"""The runaway report against fleets with one thing gone wrong each: what it names, counts, orders, forecasts, and leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import psycopg
import pytest

from tests.runaway import agreement, judge, world
from tests.runaway.engine import play
from tests.runaway.fleet import SINCE, UNTIL, Run, Story
from tests.runaway.world import ALL, SEED, Told, story

Tell = Callable[[Story], Told]


@pytest.fixture(scope="module")
def told(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Tell:
    """A story's report; made once."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create database runaway_stories")
    url = database_url.replace("/postgres?", "/runaway_stories?", 1)
    world.create(url)
    return cache(lambda found, seed=SEED: world.tell(url, tmp_path_factory.mktemp(found.key) / "lake", found, seed))


LONG = ("two_realms_time_out", "stall_under_lowered_cap", "own_timeouts_alone", "busy_day", "known_limit", "names",
        "weekend_rule")  # fmt: skip
"""Stories that are told by ``python -m tests.runaway`` only: what they try is tried by another one here too."""
LATER = (
    "always_limited",
    "grows_by_version",
    "grows_by_day",
    "levels_off",
    "unknown_statement",
    "own_timeouts",
    "fixed",
    "bursts",
    "behind_the_cut",
    "odd_rows",
    "lowered_cap",
    "long_stall",
    "stall_beside_a_slow_one",
    "busy_day",
    "rules_without_work",
    "rare_rule",
    "close_to_both",
    "lowered_again",
)
"""Stories that ``make prove`` has and ``make test`` has not."""


def each(chosen: Callable[[Story], Any] = lambda _: True) -> Any:
    """One test for each of the stories that are chosen."""
    stories = [found for found in ALL if found.key not in LONG and chosen(found)]
    cases = [
        pytest.param(found, id=found.key, marks=[pytest.mark.long] if found.key in LATER else []) for found in stories
    ]
    return pytest.mark.parametrize("found", cases)


@each(lambda found: found.expected)
def test_what_was_planted_is_found_and_called_what_it_is(found: Story, told: Tell) -> None:
    assert judge.named(told(found)) == [], found.words


@each()
def test_nothing_else_is_found(found: Story, told: Tell) -> None:
    assert judge.false_findings(told(found)) == [], found.words


@each()
def test_programs_close_to_what_the_validator_takes_are_named_with_their_count_and_no_others(
    found: Story, told: Tell
) -> None:
    assert judge.large_programs(told(found)) == [], found.words


@each(lambda found: any(wanted.runs for wanted in found.expected))
def test_runs_are_counted_and_dated_exactly(found: Story, told: Tell) -> None:
    assert judge.counted(told(found)) == [], found.words


@each(lambda found: found.leads or found.groups or len(found.expected) > 1)
def test_who_is_urgent_stands_first(found: Story, told: Tell) -> None:
    assert judge.ordered(told(found)) == [], found.words


@each(lambda found: found.judged)
def test_rules_are_called_what_they_are(found: Story, told: Tell) -> None:
    assert judge.judged(told(found)) == [], found.words


@each(lambda found: any(wanted.words for wanted in found.expected))
def test_the_sentence_says_what_is_true(found: Story, told: Tell) -> None:
    assert judge.worded(told(found)) == [], found.words


@each(lambda found: any(wanted.reaches_cap or wanted.refused for wanted in found.expected))
def test_the_day_of_the_cap_lies_in_the_range_that_was_told(found: Story, told: Tell) -> None:
    assert judge.foreseen(told(found)) == [], found.words


@each(lambda found: found.page or found.absent)
def test_the_page_says_it_too(found: Story, told: Tell) -> None:
    assert judge.shown(told(found)) == [], found.words


@each(lambda found: found.key in ("stall", "quiet", "probing") or found.key in LATER)
def test_every_number_is_the_same_wherever_the_page_tells_it(found: Story, told: Tell) -> None:
    assert judge.agreed(told(found)) == [], found.words


@pytest.mark.parametrize(
    ("elsewhere", "is_one"),
    [
        ({"answer": "29 timeouts spread over 9 strategies.", "sure": "(0 limit, 0 canary, 29 timeout, 1 other)"}, False),
        ({"answer": "29 timeouts spread over 9 strategies.", "lane": "29 × timeout, 05:20 – 23:10, 10 strategies"}, True),
        ({"answer": "26 timeouts spread over 9 strategies.", "sure": "(0 limit, 0 canary, 29 timeout, 1 other)"}, True),
        ({"answer": "20 timeouts of 9 strategies together, likely of a stalled event loop, 13:00; 9 timeouts of one strategy.",
          "strip": "29 × timeout, 05:20 – 23:10, 9 strategies"}, False),
        ({"answer": "20 timeouts of 9 strategies together, likely of a stalled event loop, 13:00",
          "findings": "finding: Likely a stalled event loop: 20 runs of 10 strategies timed out within 20 s"}, True),
        ({"answer": "5 runs stopped by the cap, 13:00 – 14:00", "close": "4 runs were stopped by a cap."}, True),
        ({"headline": "2 new, 1 worse.", "findings": "new: a\nnew: b\nworse: c", "digest": "2 new (a; b), 1 worse (c)"}, False),
        ({"headline": "3 new, 1 worse.", "findings": "new: a\nnew: b\nworse: c"}, True),
    ],
)  # fmt: skip
def test_a_number_that_differs_is_seen(elsewhere: dict[str, str], is_one: bool) -> None:
    assert bool([*agreement.disagreements(elsewhere)]) is is_one


@each(lambda found: any(wanted.lasted for wanted in found.expected))
def test_beginning_and_end_lie_in_the_intervals_that_were_told(found: Story, told: Tell) -> None:
    assert judge.dated(told(found)) == [], found.words


def test_a_fleet_in_which_nothing_happens_has_no_finding_whatever_the_chance(told: Any) -> None:
    assert judge.false_findings(told(story("quiet"), SEED + 1)) == []


# ---- single facts ----------------------------------------------------------------------------------------------------


def row_of(found: Told, realm: str | None, family: str, version: int) -> dict[str, Any]:
    """A row of the league."""
    [row] = [row for row in found.facts["league"] if judge.key_of(row) == (realm, family, version)]
    return row


def test_the_user_of_a_probe_is_not_named(told: Tell) -> None:
    found = told(story("probing"))
    [user] = {run.user for run in found.window if run.error_code == "DSL_FIELD_NOT_PRECOMPUTED"}
    page = found.report.head().html + found.report.findings().html + found.report.when().html + str(found.facts)
    assert user not in page
    assert f"••••{user[-2:]}" in page


def test_a_version_that_is_always_stopped_shows_no_nodes_at_all(told: Tell) -> None:
    found = told(story("always_limited"))
    runs = [run for run in found.window if run.version == 2 and run.family == "Badge ladder"]
    row = row_of(found, "tram", "Badge ladder", 2)
    assert {run.status for run in runs} <= {"limit", "timeout"}
    assert (row["logged_count"], row["ok_logged_count"], row["headroom"]) == (len(runs), 0, 0)
    assert row["est_nodes_p50"]["value"] != 0 and row["est_nodes_p99"]["value"] != 0
    assert row["limit_share"]["high"] >= 0.95


def test_the_realm_with_the_same_slow_field_is_not_blamed(told: Tell) -> None:
    found = told(story("slow_field"))
    assert [row["realm"] for row in found.facts["findings"]] == ["harbor"]
    slow, fast = (row_of(found, realm, "Daily quest", 2) for realm in ("harbor", "lake"))
    assert slow["est_ms_p50"]["value"] > 5 * fast["est_ms_p50"]["value"]


def test_rows_of_an_unknown_status_are_failures_and_no_runs_of_0_nodes(told: Tell) -> None:
    found = told(story("odd_rows"))
    hour = [run for run in found.window if run.realm == "aborted" and run.logged and run.created_at.hour == 10]
    row = row_of(found, "aborted", "Badge ladder", 1)
    late = sum(run.status == "timeout" for run in found.window if run.realm == "aborted" and run.created_at.hour != 10)
    assert row["failed_count"] == len(hour) + late > 20
    passed = sorted(run.nodes for run in found.window if run.realm == "aborted" and run.status == "ok")
    assert abs(row["est_nodes_p50"]["value"] - passed[len(passed) // 2]) <= 12


def test_the_first_entries_of_a_stopped_run_are_not_what_it_needed(told: Tell) -> None:
    found = told(story("odd_rows"))
    nodes = row_of(found, "traced", "Badge ladder", 1)["est_nodes_p50"]
    wanted = sorted(run.wanted for run in found.window if run.realm == "traced")
    assert 900 < nodes["value"] <= wanted[len(wanted) // 2] + 12


def test_a_code_on_a_run_that_went_well_is_no_canary(told: Tell) -> None:
    row = row_of(told(story("odd_rows")), "coded", "Badge ladder", 1)
    assert row["canary_count"] == 0


# ---- is the truth true? ----------------------------------------------------------------------------------------------


def truth(key: str) -> list[Run]:
    """Every run of a story, which needs neither a log nor a report."""
    return play(story(key), SEED).truth


def test_versions_leave_143_then_423_then_983_entries() -> None:
    runs = [run for run in truth("grows_by_version") if run.family == "Tier ladder"]
    assert [{run.wanted for run in runs if run.version == version} for version in (1, 2, 3)] == [{143}, {423}, {983}]
    assert {run.status for run in runs} <= {"ok", "timeout"}


def test_the_lowered_cap_stops_runs_that_pass_at_other_times() -> None:
    [incident] = story("lowered_cap").incidents
    runs = [run for run in truth("lowered_cap") if run.family == "Checkout ladder"]
    stopped = [run for run in runs if run.status == "limit"]
    assert len(stopped) >= 20
    assert all(incident.since <= run.created_at < incident.until and 600 < run.wanted < 1000 for run in stopped)
    assert any(run.wanted > 600 and run.status == "ok" for run in runs)


def test_the_stall_reaches_strategies_of_several_realms() -> None:
    runs = [run for run in truth("stall") if run.stalled]
    assert len({(run.realm, run.family) for run in runs}) == 5
    assert {run.status for run in runs} == {"timeout"}
    assert {run.wanted < 700 for run in runs} == {True}


def test_every_run_of_the_second_version_would_need_more_than_the_cap() -> None:
    runs = [run for run in truth("always_limited") if run.family == "Badge ladder" and run.version == 2]
    assert len(runs) > 50
    assert min(run.wanted for run in runs) > 1000


@pytest.mark.long
def test_all_failures_are_logged_and_of_the_ok_runs_about_a_tenth(told: Tell) -> None:
    runs = [run for found in ALL[:8] if found.key not in LATER for run in told(found).truth]
    assert all(run.logged for run in runs if run.status != "ok")
    fine = [run for run in runs if run.status == "ok"]
    assert 0.09 < sum(run.logged for run in fine) / len(fine) < 0.11
    assert any(SINCE <= run.created_at < UNTIL for run in runs)


def test_there_are_stories_enough() -> None:
    assert len(ALL) == len({found.key for found in ALL}) >= 22
