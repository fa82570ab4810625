"""A rehearsal against the simulation, which knows what each version pays for every run, logged or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from analytics.demo.dsl import arith, assign, compare, lit, note, rule
from analytics.findings.post_mortem.family import find_family
from analytics.findings.rehearsal import rehearsed_runs
from analytics.findings.rehearsal.gate import conditions
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.rehearsal.rehearsed_runs import Outcomes
from analytics.findings.replay.replay_run import ReplayOutcome
from analytics.findings.replay.run_evidence import Definition, definition
from analytics.program import compile_program, evaluate, outline
from tests.planted.stories import FIRST, UNTIL, story
from tests.planted.world import Planted

#: Story, the version that is rehearsed on all of its runs.
TRIED = (("half_more_rolled_back", 2), ("half_more", 2), ("pays_less", 1), ("pays_less", 2), ("mix", 1), ("rollout", 2))

Make = Callable[[str, int], Rehearsal]


@pytest.fixture(scope="module")
def rehearse(planted: Planted) -> Make:
    """A version of a story's family on trial over all of its runs; made once."""

    def make(key: str, version: int) -> Rehearsal:
        told = story(key)
        family = find_family(planted.warehouse, realm=told.family.realm, family=told.family.name)
        lake = planted.warehouse.scoped([told.family.realm])
        [strategy] = {strategy for strategy, number in family.members if number == version}
        program = definition(lake, strategy, version)
        assert program is not None
        return Rehearsal(lake, family, program, FIRST, UNTIL)

    return cache(make)


def truth(planted: Planted, key: str, version: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every ok run: what it was paid, and what the version pays, nothing where it fails."""
    ok = [row for row in planted.runs(story(key)).to_pylist() if row["status"] == "ok"]
    would = [dict(row["paid_by"])[version] for row in ok]
    paid = np.array([row["points"] for row in ok], dtype=float)
    return paid, np.array([0.0 if one is None else one for one in would], dtype=float)


@pytest.mark.parametrize(("key", "version"), TRIED)
def test_the_difference_lies_around_what_every_run_would_have_been_paid(
    planted: Planted, rehearse: Make, key: str, version: int
) -> None:
    found = rehearse(key, version)
    paid, would = truth(planted, key, version)
    assert found.undecided.value == 0
    true, half = float((would - paid).sum()), (found.difference.high - found.difference.low) / 2
    # Twice the 95 % interval: one seed must not decide whether the test passes.
    assert abs(found.difference.value - true) <= 2 * half
    assert abs(true) > half, "the story must be one that an estimate of nothing would fail"
    assert found.relative is not None
    share = true / paid.sum()
    assert abs(found.relative.value - share) <= found.relative.high - found.relative.low
    changed = float((~np.isclose(paid, would)).mean())
    assert abs(found.changed.value - changed) <= found.changed.high - found.changed.low


@pytest.mark.parametrize(("key", "version"), TRIED)
def test_every_tried_run_is_paid_what_the_simulation_pays(
    planted: Planted, rehearse: Make, key: str, version: int
) -> None:
    rows = rehearse(key, version).tried.rows
    runs = [row for row in planted.runs(story(key)).to_pylist() if row["status"] == "ok"]
    wanted = {row["execution_id"]: dict(row["paid_by"])[version] for row in runs}
    assert len(rows) > 100
    for run in rows.itertuples():
        if run.is_decided and wanted[run.execution_id] is not None:
            assert run.low == run.high == pytest.approx(wanted[run.execution_id])
        assert (run.code is not None) == (wanted[run.execution_id] is None)


def test_days_and_cases_add_up_to_the_whole_and_winners_come_before_losers(rehearse: Make) -> None:
    found = rehearse("half_more_rolled_back", 2)
    for parts in (found.days, found.cases):
        assert sum(part.difference.value for part in parts) == pytest.approx(found.difference.value)
        assert sum(part.logged_count for part in parts) == len(found.tried.rows)
    assert [day.name for day in found.days] == sorted(day.name for day in found.days)  # type: ignore[type-var]
    gains = [user.difference for user in found.users]
    winners, losers = [gain for gain in gains if gain > 0], [gain for gain in gains if gain < 0]
    assert gains == sorted(winners, reverse=True) + sorted(losers)
    assert sum(move.difference.value for move in found.moved) == pytest.approx(found.difference.value)


def test_the_running_program_rehearsed_changes_nothing_for_its_own_runs(rehearse: Make) -> None:
    found = rehearse("half_more", 1)
    first, *_ = found.tried.versions
    assert first.label == "v1" and first.own_count == first.tried_count > 100
    own = found.tried.rows[found.tried.rows["label"] == "v1"]
    assert not own["is_changed"].any()
    assert found.most_visits is not None and 1 < found.most_visits < 1000


def drafted(program: Definition, change: Callable[[Any], Any]) -> Definition:
    ast = change(dict(program.ast))
    return replace(program, ast=ast, program=compile_program(ast), outline=outline(ast))


def test_a_field_that_nobody_recorded_leaves_runs_undecided_within_bounds(planted: Planted, rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    bonus = rule(compare("data.nobody_sent_this", ">=", 3), assign(1000, "Bonus"))
    draft = drafted(base.program, lambda ast: {**ast, "rules": [bonus, *ast["rules"]]})
    found = Rehearsal(base.lake, base.family, draft, base.since, base.until)
    assert found.undecided.value == 1 and found.relative is None
    low, high = found.bounds
    assert low <= base.difference.value <= high, "a run that the rule does not match is paid as before"
    assert high - low == pytest.approx(1000 * found.tried.rows["weight"].sum(), rel=0.5)
    [unknown] = found.unknown
    assert "data.nobody_sent_this" in unknown.reason and unknown.share.value == 1


def test_the_worst_of_a_run_that_may_fail_is_nothing(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    bonus = rule(compare("data.nobody_sent_this", ">=", 3), assign(1000, "Bonus"))
    draft = drafted(base.program, lambda ast: {**ast, "rules": [bonus, *ast["rules"]]})
    found = Rehearsal(base.lake, base.family, draft, base.since, base.until)
    # An event without the key: the engine has a null there, which is in no order with a number.
    assert evaluate(draft.ast, {"data.nobody_sent_this": None}).error_code == "DSL_COMPARE_TYPE_MISMATCH"
    assert found.worst_relative is not None and found.worst_relative.low == pytest.approx(-1)
    assert conditions(["points<-20%"])[0].refuses(found) and found.may_fail.value == 1
    paid = float((found.tried.rows["points"] * found.tried.rows["weight"]).sum())
    assert found.bounds[0] == pytest.approx(-paid)


UNREAD = "data.nobody_sent_this"


@pytest.mark.parametrize(
    "change",
    [
        lambda rules: [rule(lit(True), note("lead", arith(UNREAD, "-", 1))), *rules],
        lambda _: [rule(compare(UNREAD, ">=", 3), assign(5, "Five"), otherwise=[assign(5, "Five")])],
        lambda _: [rule(compare(UNREAD, ">", 0), assign(0, "None"), otherwise=[assign(0, "Too")])],
    ],
    ids=["a note", "both branches pay the same", "both branches pay nothing"],
)
def test_a_run_that_is_paid_the_same_whatever_it_reads_may_fail_on_it(rehearse: Make, change: Any) -> None:
    base = rehearse("weekend", 1)
    draft = drafted(base.program, lambda ast: {**ast, "rules": change(ast["rules"])})
    found = Rehearsal(base.lake, base.family, draft, base.since, base.until)
    # Events that lack the key, as the engine has them: each fails in the first rule.
    assert evaluate(draft.ast, {UNREAD: None}).error_code in ("DSL_ARITH_TYPE_MISMATCH", "DSL_COMPARE_TYPE_MISMATCH")
    assert conditions(["failures"])[0].refuses(found) and not found.failures
    [unknown] = found.unknown
    assert UNREAD in unknown.reason and unknown.share.value == found.may_fail.value > 0
    rows = found.tried.rows
    open_ = rows[rows["may_fail"].to_numpy(bool)]
    assert (open_["low"] <= 0).all() and (open_["high"] >= 0).all() and open_["visits"].isna().all()
    # Whoever is paid nothing anyway is decided, though nobody knows whether it fails.
    assert (open_["is_decided"] == (open_["high"] == 0)).all()


def test_a_run_that_no_value_fails_is_decided_and_its_way_is_not(rehearse: Make) -> None:
    base = rehearse("weekend", 1)
    noted = rule(compare(UNREAD, "==", 3), note("seen", 1))
    draft = drafted(base.program, lambda ast: {**ast, "rules": [noted, *ast["rules"]]})
    found = Rehearsal(base.lake, base.family, draft, base.since, base.until)
    assert all(evaluate({"rules": [noted]}, {UNREAD: value}).ok for value in (None, 3, "3", []))
    assert found.undecided.value == found.may_fail.value == found.changed.value == 0
    assert conditions(["failures"])[0].refuses(found) == ""
    [unknown] = found.unknown
    assert UNREAD in unknown.reason and unknown.share.value == 1
    assert {(one.logged_count, one.share.high) for one in found.branches if one.proof is None} == {(0, 1.0)}


def test_a_division_by_nothing_is_a_predicted_failure_with_a_run_that_shows_it(rehearse: Make) -> None:
    base = rehearse("half_more", 2)

    def divide(ast: Any) -> Any:
        return {**ast, "rules": [], "default": assign(arith(lit(1), "/", 0), "Never")}

    found = Rehearsal(base.lake, base.family, drafted(base.program, divide), base.since, base.until)
    [failure] = found.failures
    assert failure.code == "DSL_ARITH_DIV_BY_ZERO" and failure.share.value == 1
    assert failure.execution_id in set(found.tried.rows["execution_id"])
    assert found.would.value == 0


def test_of_many_runs_an_even_part_is_taken_and_the_interval_is_wider(rehearse: Make) -> None:
    whole = rehearse("half_more", 2)
    part = Rehearsal(whole.lake, whole.family, whole.program, whole.since, whole.until, most=len(whole.tried.rows) // 4)
    assert len(part.tried.rows) < 0.4 * len(whole.tried.rows) and part.tried.share < 0.3
    assert part.tried_runs.value == pytest.approx(whole.tried_runs.value, rel=1e-6), "it stands for the same runs"
    assert part.difference.high - part.difference.low > 1.3 * (whole.difference.high - whole.difference.low)
    assert part.difference.low < whole.difference.value < part.difference.high


@pytest.mark.parametrize(
    ("again", "points", "case", "is_contradicted"),
    [
        (ReplayOutcome(10, 10, "A"), 10, "A", False),
        (ReplayOutcome(10, 10, "A"), 10 + 1e-12, "A", False),
        (ReplayOutcome(10, 10, "A"), 12, "A", True),
        (ReplayOutcome(10, 10, "A"), 10, "B", True),
        (ReplayOutcome(10, 10, None, knows_case=False), 10, "B", False),
        (ReplayOutcome(0, 20, None, missing="field 'data.a' was not precomputed", knows_case=False), 10, "B", False),
        (ReplayOutcome(0, 5, None, missing="field 'data.a' was not precomputed", knows_case=False), 10, "B", True),
        (ReplayOutcome(-np.inf, np.inf, None, missing="anything", knows_case=False), 1e308, "B", False),
        (ReplayOutcome(0, 0, None, code="DSL_ARITH_DIV_BY_ZERO"), 0, None, True),
    ],
)
def test_a_run_contradicts_its_program_only_where_that_surely_pays_something_else(
    again: ReplayOutcome, points: float, case: str | None, is_contradicted: bool
) -> None:
    found = Outcomes.of([again], np.zeros(2, dtype=np.int64))
    cases = np.array([case, case], dtype=object)
    assert found.contradict(np.array([points, points]), cases).tolist() == [is_contradicted] * 2


def test_that_no_logged_run_is_paid_otherwise_bounds_how_seldom_and_not_how_much(rehearse: Make) -> None:
    base = rehearse("weekend", 1)  # the version that ran
    weight = base.tried.rows["weight"]
    assert base.changed.value == 0 and weight.max() > 1

    def tried(*rules: Any) -> Rehearsal:
        draft = drafted(base.program, lambda ast: {**ast, "rules": [*rules, *ast["rules"]]})
        return Rehearsal(base.lake, base.family, draft, base.since, base.until)

    jackpot = tried(rule(compare("data.steps", ">=", 10**9), assign(1_000_000, "Jackpot")))
    harmless = tried(rule(compare("data.steps", ">=", 10**9), assign(5, "Small")))
    for found, refused in ((jackpot, True), (harmless, False)):
        assert found.changed.value == found.difference.value == 0 < found.changed.high
        assert found.difference.low < 0 < found.difference.high and found.difference.grade == "too few"
        assert bool(conditions(["points>5%"])[0].refuses(found)) is refused
        quiet = [part.difference for part in (*found.days, *found.cases)]
        assert quiet and not [one for one in quiet if one.low == one.high]
    decided = jackpot.tried.rows[jackpot.tried.rows["is_decided"].to_numpy(bool)]
    unseen = jackpot.changed.high * decided["weight"].sum()
    assert jackpot.difference.high == pytest.approx(unseen * (1_000_000 - decided["points"].min()))


def test_what_ran_pays_what_was_paid_however_much_a_cut_trace_leaves_out(planted: Planted, rehearse: Make) -> None:
    """The traces of the story are cut before the rule that pays, and the program never runs again to its end."""
    base = rehearse("long_traces", 2)
    came = base.tried.rows.loc[base.tried.rows["label"] == "v2", "created_at"].min().to_pydatetime()
    program = replace(base.program, ast=dict(base.program.ast))  # the same words in another file
    own = Rehearsal(base.lake, base.family, program, came, UNTIL)
    beside = Rehearsal(base.lake, base.family, program, came, UNTIL, beside=("v2", base.program))
    logged = {row["execution_id"]: row for row in planted.runs(story("long_traces")).to_pylist()}
    for found in (own, beside):
        rows = found.tried.rows
        paid = [logged[execution] for execution in rows["execution_id"]]
        assert len(rows) > 50 and rows["visits"].isna().any(), "the story must have traces that do not tell the end"
        assert rows["is_decided"].all() and rows["code"].isna().all() and not found.unknown
        assert (
            rows["low"].tolist() == rows["high"].tolist() == rows["points"].tolist() == [run["points"] for run in paid]
        )
        assert rows["would_case"].tolist() == [run["case_name"] for run in paid]
        for nothing in (found.difference, found.worst, found.changed, *(day.difference for day in found.days)):
            assert nothing.low == nothing.value == nothing.high == 0
        assert not any(one.refuses(found) for one in conditions(["points>0%", "points<0%", "changed>0%", "failures"]))
    # Of version 1's runs the log does not tell what version 2 pays; of its own it does.
    both = base.tried.rows
    assert (
        not both.loc[both["label"] == "v1", "is_decided"].all() and both.loc[both["label"] == "v2", "is_decided"].all()
    )


def test_a_version_edited_in_place_is_not_taken_for_the_program_that_ran(
    rehearse: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut trace may be of either program: what was paid is then what the one before the edit pays."""
    base = rehearse("long_traces", 2)
    edited = replace(base.program, replaced_at=UNTIL)
    monkeypatch.setattr(rehearsed_runs, "past_definitions", lambda *_: [edited])
    found = Rehearsal(base.lake, base.family, base.program, FIRST, UNTIL)
    rows = found.tried.rows
    assert not rows.loc[rows["label"] == "v2", "is_decided"].all()


def test_the_worst_case_is_never_narrower_than_the_difference(rehearse: Make) -> None:
    base = rehearse("weekend", 1)
    jackpot = rule(compare("data.steps", ">=", 10**9), assign(1_000_000, "Jackpot"))
    draft = drafted(base.program, lambda ast: {**ast, "rules": [jackpot, *ast["rules"]]})
    found = Rehearsal(base.lake, base.family, draft, base.since, base.until)
    rows = found.tried.rows
    some = base.of(draft)
    vars(some)["tried"] = replace(found.tried, rows=rows.assign(is_decided=[n % 3 > 0 for n in range(len(rows))]))
    for one in (found, some):
        assert one.changed.value == 0 < one.difference.high
        assert one.worst.low <= one.difference.low < one.difference.high <= one.worst.high


def test_a_program_that_pays_nothing_pays_all_of_it_less_and_exactly(rehearse: Make) -> None:
    base = rehearse("half_more", 2)
    nothing = drafted(base.program, lambda ast: {**ast, "rules": [], "default": assign(0, "Nothing")})
    found = base.of(nothing)
    shares = [found.relative, found.worst_relative, *(group.relative for group in found.user_groups)]
    assert len(shares) > 2
    assert [(one.low, one.value, one.high) for one in shares if one is not None] == [(-1.0, -1.0, -1.0)] * len(shares)
