"""A version's program, changed and tried: what a sweep says is what a rehearsal of each edit says, and what can be added up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import analytics
from analytics.demo.dsl import assign, compare, rule
from analytics.errors import UnknownNameError, UsageError
from analytics.findings.rehearsal import rehearsed_runs
from analytics.findings.rehearsal.gate import conditions
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.rehearsal.rehearsed_runs import quotas
from analytics.program import compile_program, outline
from analytics.reports.explore.open_lake import OpenLake, open_lake
from analytics.reports.rehearsal.wording import _undecided
from tests.planted.stories import FIRST, UNTIL, story
from tests.planted.world import Planted
from tests.rehearsals import tiny

if TYPE_CHECKING:
    from analytics.lake.lake import Lake
    from tests.conftest import Table

FAR = "rule far › assign"
WINDOW = {"since": tiny.SINCE, "until": tiny.UNTIL}


@pytest.fixture(scope="module")
def rides(module_table: Table, tmp_path_factory: pytest.TempPathFactory) -> OpenLake:
    return open_lake(tiny.build(module_table, tmp_path_factory.mktemp("tiny")).root)


def test_the_program_that_ran_last_shows_its_rules_and_an_edit_makes_another(rides: OpenLake) -> None:
    program = rides.program("Rides")
    assert repr(program).splitlines() == [
        "Rides, version 2 · acme",
        "  rule 1  far",
        "    when data.km >= 5",
        "    then assign 12 points, case Far",
        "  otherwise",
        "    assign 2 points, case Near",
    ]
    places = program.places()
    assert (FAR, 12) in list(zip(places["address"], places["value"], strict=True))
    other = program.edit(FAR, 15).edit("otherwise › assign", 1)
    assert other.name == "version 2 with rule far › assign = 15, otherwise › assign = 1"
    assert "assign 15 points" in repr(other) and "assign 12 points" in repr(program)
    assert program.ast == tiny.program(12) and rides.program("Rides", version=1).ast == tiny.program(10)
    program.ast["rules"] = []  # type: ignore[index]  # a copy: the program stays as it is
    assert program.ast == tiny.program(12)


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda lake: lake.program("Ride"), UnknownNameError, "did you mean 'Rides'"),
        (lambda lake: lake.program("Rides", version=7), UnknownNameError, "known: v1, v2"),
        (lambda lake: lake.program("Rides", realm="acne"), UnknownNameError, "acne|no strategy"),
        (lambda lake: lake.program("Rides").edit("rule fat › assign", 3), UnknownNameError, "did you mean 'rule far › assign'"),
        (lambda lake: lake.program("Rides").edit(FAR, "many"), UsageError, "points are a number"),
        (lambda lake: analytics.sweep(lake, lake.program("Rides"), FAR, [], **WINDOW), UsageError, "there is none"),
        (lambda lake: analytics.sweep(lake, lake.program("Rides"), FAR, [1, "x"], **WINDOW), UsageError, "points are a number"),
        (lambda lake: analytics.sweep(lake, tiny.program(3), FAR, [1], **WINDOW), UsageError, "lake.program"),
        (lambda lake: analytics.rehearsal(lake, lake.program("Rides"), family="Walks"), UsageError, "another strategy"),
    ],
)  # fmt: skip
def test_what_is_not_there_or_does_not_fit_is_said_with_what_is_meant(
    rides: OpenLake, ask: Callable[[OpenLake], Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        ask(rides)
    assert not isinstance(caught.value, AssertionError)


def test_a_sweep_of_what_is_all_logged_is_what_a_person_adds_up(rides: OpenLake) -> None:
    answer = analytics.sweep(rides, rides.program("Rides"), FAR, values=[10, 12, 13], budget=62, **WINDOW)
    # Four far runs a day at the value, six near ones at 2; on two days of four they were paid 10, on two 12.
    for row, value in zip(answer.frame.to_dict("records"), (10, 12, 13), strict=True):
        assert row["value"] == value
        pays = 4 * value + 12
        assert row["points_per_day"] == row["points_per_day_low"] == row["worst_points_per_day_high"] == pays
        assert row["difference_per_day"] == pytest.approx(pays - 56)
        assert row["changed"] == pytest.approx((2 if value in (10, 12) else 4) * 4 / 40)
        assert row["undecided"] == 0 and row["failed_count"] == 0
    assert answer.kept is not None and answer.kept.value == 12
    assert repr(answer.kept).startswith(
        "The largest tried value that surely keeps 62 points a day is 12: at 12 it pays 60, at worst 60."
    )
    assert "Between the tried values nothing was tried." in repr(answer.kept)
    assert answer.within(51.9).value is None and "None of the tried values" in repr(answer.within(51.9))
    assert answer.within(64).value == 13 and "whether a larger one does was not tried" in repr(answer.within(64))
    html = answer._repr_mimebundle_()[0]["text/html"]
    assert html.count("<svg") == 2 and "budget 62" in html
    assert answer.chart()._repr_mimebundle_()[0]["text/html"].count("<svg") == 2


def test_undecided_runs_are_at_their_worst_in_a_budget(rides: OpenLake) -> None:
    program = rides.program("Rides")
    bonus = rule(compare("data.nobody_sent_this", ">=", 3), assign(5, "Bonus"), node_id="bonus")
    ast = {**tiny.program(12), "rules": [bonus, *tiny.program(12)["rules"]]}
    draft = replace(
        program, definition=replace(program.definition, ast=ast, program=compile_program(ast), outline=outline(ast))
    )
    answer = analytics.sweep(rides, draft, "rule bonus › assign", [1, 20], **WINDOW)
    first, last = answer.frame.to_dict("records")
    # Each run is paid the bonus or what the rules behind it pay, 12 for a far one, 2 for a near one; without the field it fails.
    assert (first["worst_points_per_day_low"], first["worst_points_per_day_high"]) == (0, 4 * 12 + 6 * 2)
    assert (last["worst_points_per_day_low"], last["worst_points_per_day_high"]) == (0, 10 * 20)
    assert first["undecided"] == 1
    assert answer.within(60).value == 1 and answer.within(59).value is None
    with pytest.raises(UsageError, match="no number"):
        analytics.sweep(rides, program, "rule far › case", ["A", "B"], **WINDOW).within(60)


def test_runs_that_could_not_be_tried_are_in_a_budget_at_what_the_program_may_pay(
    rides: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = rehearsed_runs.find_variants
    monkeypatch.setattr(
        rehearsed_runs, "find_variants", lambda *args, **kw: None if args[2].label == "v1" else found(*args, **kw)
    )
    answer = analytics.sweep(rides, rides.program("Rides"), FAR, [12], **WINDOW)
    [row] = answer.frame.to_dict("records")
    # Version 2 ran on two of four days: 60 points each. The twenty runs of version 1 may be paid 2 to 12 each, or fail.
    assert row["points_per_day"] == 2 * 60 / 4
    assert (row["worst_points_per_day_low"], row["worst_points_per_day_high"]) == (120 / 4, (120 + 240) / 4)


def test_a_row_of_a_sweep_is_the_rehearsal_of_that_edit_and_inputs_are_read_once(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = story("half_more").family
    lake = open_lake(planted.lake.root, realm=told.realm)
    program = lake.program(told.name, version=2)
    where = next(one for one in program.places()["address"] if "assign" in one)
    window: dict[str, Any] = {"since": FIRST.isoformat(), "until": UNTIL.isoformat()}
    reads: list[str] = []
    read = rehearsed_runs.read_inputs
    monkeypatch.setattr(rehearsed_runs, "read_inputs", lambda *args, **kw: reads.append("") or read(*args, **kw))
    frame = analytics.sweep(lake, program, where, [4, 5, 6], **window).frame
    assert len(reads) == 2, "once for each version that ran"
    for row in frame.to_dict("records"):
        found = analytics.rehearsal(lake, program.edit(where, row["value"]), **window).inquiry
        days = (UNTIL - FIRST).total_seconds() / 86_400
        for name, estimate in (("points", found.would), ("difference", found.difference)):
            for end, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high)):
                assert row[f"{name}_per_day{end}"] == pytest.approx(value / days), (name, end)
        assert row["changed"] == found.changed.value and 0 < row["changed"] < 1
        assert row["worst_points_per_day_high"] >= row["points_per_day_high"] - 1e-6


def test_at_most_so_many_runs_are_tried_and_they_stand_for_all(planted: Planted) -> None:
    told = story("half_more").family
    lake = open_lake(planted.lake.root, realm=told.realm)
    program = lake.program(told.name, version=2)
    window: dict[str, Any] = {"since": FIRST.isoformat(), "until": UNTIL.isoformat()}
    whole = analytics.rehearsal(lake, program, **window).inquiry
    for most in (1, 2, 37, 200):
        part = analytics.rehearsal(lake, program, most=most, **window).inquiry
        assert 0 < len(part.tried.rows) <= most
    assert len(part.tried.rows) > 150
    assert part.tried.rows["weight"].sum() == pytest.approx(whole.tried.rows["weight"].sum(), rel=0.2)
    assert part.would.high - part.would.low > whole.would.high - whole.would.low


@pytest.mark.parametrize(
    ("logged", "most", "wanted"),
    [
        ({"v1": 3, "v2": 4}, 7, {"v1": 3, "v2": 4}),
        ({"v1": 1, "v2": 1, "v3": 98}, 10, {"v1": 1, "v2": 1, "v3": 8}),
        ({"v1": 5, "v2": 50, "v3": 0}, 1, {"v1": 0, "v2": 1, "v3": 0}),
        ({"v1": 60, "v2": 40}, 10, {"v1": 6, "v2": 4}),
    ],
)
def test_the_part_of_each_version_is_in_proportion_and_together_at_most_what_was_wanted(
    logged: dict[str, int], most: int, wanted: dict[str, int]
) -> None:
    assert quotas(logged, most) == wanted
    assert math.fsum(wanted.values()) <= most


def test_a_draft_is_held_against_what_a_version_pays_for_the_same_runs(rides: OpenLake) -> None:
    draft = rides.program("Rides").edit(FAR, 13)
    for against, more, share in (("v1", 3, 3 * 16 / 208), ("2", 1, 16 / 240), ("", 2, 32 / 224)):
        report = analytics.rehearsal(rides, draft, against=against, **WINDOW)
        # Sixteen far runs of forty; without a version, half of them were paid 10 and half 12.
        assert report.inquiry.difference.value == more * 16
        assert report.inquiry.relative is not None and report.inquiry.relative.value == pytest.approx(share)
        assert report.inquiry.changed.value == pytest.approx(0.4)
        assert ("not against what they were paid" in report.head().text) is bool(against)
    with pytest.raises(UnknownNameError, match="no program of version 9"):
        analytics.rehearsal(rides, draft, against="v9", **WINDOW)


def test_where_the_other_version_is_undecided_the_difference_is_as_wide_as_both(rides: OpenLake) -> None:
    found = analytics.rehearsal(rides, rides.program("Rides"), **WINDOW).inquiry
    bonus = rule(compare("data.nobody_sent_this", ">=", 3), assign(5, "Bonus"), node_id="bonus")
    ast = {**tiny.program(12), "rules": [bonus, *tiny.program(12)["rules"]]}
    other = replace(found.program, ast=ast, program=compile_program(ast), outline=outline(ast))
    beside = Rehearsal(found.lake, found.family, found.program, found.since, found.until, beside=("v9", other))
    # The other pays a near run 5 where this one pays 2, or the same, or fails and pays nothing: then this one pays all of it more.
    assert beside.undecided.value == 1 and beside.bounds == (24 * -3, 16 * 12 + 24 * 2)
    assert beside.worst_relative is None, "a share of what nobody knows"
    assert conditions(["points>50%"])[0].refuses(beside)


def test_the_page_says_that_a_draft_is_what_runs_and_that_only_a_part_was_tried(rides: OpenLake) -> None:
    same = analytics.rehearsal(rides, rides.program("Rides"), **WINDOW)
    assert "It says the same as v2, which ran last." in same.head().text
    part = analytics.rehearsal(rides, rides.program("Rides").edit(FAR, 13), most=10, **WINDOW)
    assert "25 % of those that are logged: the intervals are wider" in part.head().text.replace("\xa0", " ")
    assert "says the same" not in part.head().text


def test_after_a_rollback_what_runs_is_the_version_of_the_latest_run(table: Table, fresh: Lake) -> None:
    rolled_back = open_lake(tiny.build(table, fresh.root, ran_on=(1, 2, 2, 1)).root)
    found = analytics.rehearsal(rolled_back, family="Rides", version=1, **WINDOW)
    assert found.inquiry.running is not None
    assert (found.inquiry.running[0], found.inquiry.running_id) == ("v1", tiny.VERSIONS[1])
    assert "It says the same as v1, which ran last." in found.head().text
    assert rolled_back.program("Rides").version == 1


def test_what_undecided_runs_add_is_told_in_points_where_no_share_can_be(rides: OpenLake) -> None:
    bonus = rule(compare("data.nobody_sent_this", ">=", 3), assign(5, "Bonus"), node_id="bonus")
    ast = {**tiny.program(12), "rules": [bonus, *tiny.program(12)["rules"]]}
    found = analytics.rehearsal(rides, family="Rides", draft=ast, **WINDOW).inquiry
    found.__dict__["worst_relative"] = None  # as where what was paid may be nothing
    low, _ = found.bounds
    assert f"add between {low:+,.0f}".replace("-", "−") in "".join(map(str, _undecided(found))).replace("-", "−")
