"""The parts of a rehearsal: branches that runs take, endings, days, groups of users, time; each against a count of its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analytics.demo.dsl import assign, compare, lit, rule
from analytics.findings.post_mortem.family import family_runs, find_family
from analytics.findings.post_mortem.groups import group_of
from analytics.findings.rehearsal.branch_hits import branch_hits, unused_parts
from analytics.findings.rehearsal.drift import drift
from analytics.findings.rehearsal.rehearsal import Rehearsal
from analytics.findings.rehearsal.transitions import Ending, transitions
from analytics.findings.rehearsal.user_groups import user_groups
from analytics.findings.replay.replayed import replayed
from analytics.findings.replay.run_evidence import Definition, definition
from analytics.findings.replay.trace_variants import find_variants
from analytics.program import MAX_NODES, ParentResult, compile_program, generate_ids, outline
from analytics.program.branches import branches
from tests.planted.stories import FIRST, UNTIL, story
from tests.planted.world import Planted

MONDAY = datetime(2026, 7, 6, 12, tzinfo=UTC)


def of(ast: Mapping[str, Any], kind: str = "DSL_FULL") -> Definition:
    return Definition(ast, compile_program(ast), outline(ast), "a", None, kind)


def rows(count: int, **columns: Any) -> pd.DataFrame:
    """Decided runs of which nothing is said but what is given."""
    plain = {
        "created_at": MONDAY, "external_user_id": None, "points": 10.0, "low": 10.0, "weight": 20.0, "case_name": "A",
        "would_case": "A", "knows_case": True, "code": None, "is_changed": False, "hits": 0, "visits": 9.0,
    }  # fmt: skip
    return pd.DataFrame({name: columns.get(name, [value] * count) for name, value in plain.items()})


LADDER = {
    "type": "program",
    "rules": [
        {**rule(compare("data.a", ">", 5), assign(1, "High")), "else_if": [{"when": compare("data.a", ">", 2), "then": []}]},
        {**rule(compare("data.b", "==", 1), assign(2, "B")), "else": [assign(3, "No B")]},
    ],
    "pre_rules": [rule(compare("data.a", ">", 0), {"type": "set_data", "key": "b", "value": lit(1)})],
    "post_rules": [rule(compare("parent.points", ">", 3), {"type": "set_points", "value": lit(9)})],
}  # fmt: skip


@pytest.mark.parametrize("keep_trace", [True, False])
@pytest.mark.parametrize(
    ("a", "b", "taken"),
    [
        (9, 0, [("rules", 0, "then")]),
        (4, 1, [("rules", 0, "else_if[0]"), ("rules", 1, "then")]),
        (1, 0, [("rules", 1, "else")]),
    ],
)
def test_a_run_knows_the_branches_that_it_took(a: int, b: int, taken: list[Any], keep_trace: bool) -> None:
    found = compile_program(LADDER).run({"data.a": a, "data.b": b}, keep_trace=keep_trace)
    assert [tuple(one) for bit, one in enumerate(branches(LADDER)) if found.hits >> bit & 1] == taken


@pytest.mark.parametrize("keep_trace", [True, False])
def test_around_a_built_in_the_branches_of_both_phases_are_known(keep_trace: bool) -> None:
    found = compile_program(LADDER).run_extend(
        {"data.a": 1}, lambda _data: ParentResult(points=4, case_name=None), keep_trace=keep_trace
    )
    taken = [one.section for bit, one in enumerate(branches(LADDER)) if found.hits >> bit & 1]
    assert taken == ["pre_rules", "post_rules"] and found.points == 9


def test_a_branch_that_no_run_takes_has_a_limit_and_one_that_none_can_take_a_proof() -> None:
    never = rule(compare("data.a", ">", 7), assign(4, "Shadowed"))
    program = of({"type": "program", "rules": [LADDER["rules"][0], never]})
    found = branch_hits(program, rows(300, hits=[1] * 100 + [2] * 200))
    assert [(one.branch.slot, one.logged_count) for one in found] == [("then", 100), ("else_if[0]", 200), ("then", 0)]
    assert found[1].share.value == pytest.approx(2 / 3)
    assert [one.proof is not None for one in found] == [False, False, True]
    # Of n draws without a hit the exact 97.5 % limit is 1 − 0.025^(1/n) (Clopper & Pearson 1934): 3.7 in so many.
    assert 0.5 < found[2].share.high / (1 - 0.025 ** (1 / 300)) < 2


def test_parts_that_the_type_never_runs_are_told_and_their_rules_are_no_branches() -> None:
    around = of(LADDER, "DSL_EXTEND")
    assert unused_parts(around) == ("rules",) and unused_parts(of(LADDER)) == ("pre_rules", "post_rules")
    assert {one.branch.section for one in branch_hits(around, rows(20))} == {"pre_rules", "post_rules"}


def test_endings_count_every_run_once_and_rare_cases_are_one() -> None:
    names = [f"C{number}" for number in range(10) for _ in range(10 - number)] + [None] * 3
    later = ["X" if name == "C0" else name for name in names]
    found = transitions(rows(len(names), case_name=names, would_case=later, is_changed=[n == "C1" for n in names]))
    assert sum(one.logged_count for one in found) == len(names)
    assert sum(one.share.value for one in found) == pytest.approx(1)
    counted = Counter((one.was, one.now, one.is_changed) for one in found)
    assert max(counted.values()) == 1
    kept = {one.was.name for one in found if one.was.kind == "case"}
    assert kept == {f"C{number}" for number in range(6)} and Ending("others") in {one.was for one in found}
    [moved] = [one for one in found if one.now.name == "X"]
    assert moved.was == Ending("case", "C0") and moved.logged_count == 10


def test_a_failing_run_ends_in_no_case_and_an_unknown_case_is_said_to_be_unknown() -> None:
    found = transitions(rows(3, code=[None, "DSL_TIMEOUT", None], knows_case=[True, True, False]))
    assert {one.now.kind for one in found} == {"case", "fails", "unknown"}


def test_days_alike_do_not_differ_and_one_day_of_its_own_is_found() -> None:
    """The reference: among 400 logs of days that are alike, about one in twenty is said to differ."""
    chance = np.random.default_rng(7)
    when = [MONDAY + timedelta(days=day) for day in range(7) for _ in range(60)]

    def log(gain: Any) -> pd.DataFrame:
        changed = chance.random(420) < gain
        return rows(420, created_at=when, low=10 + 5.0 * changed, is_changed=changed)

    said = sum(drift(log(0.3), (-10, 5)).differs for _ in range(400))
    assert stats.binom.cdf(said, 400, 0.05) > 0.001 and stats.binom.sf(said - 1, 400, 0.05) > 0.001
    saturday = np.where([one.weekday() == 5 for one in when], 0.9, 0.3)
    found = drift(log(saturday), (-10, 5))
    assert found.differs and [one.day.weekday() for one in found.apart if one.per_run.value > 3] == [5]
    assert found.holds(1) == 7 and found.holds(-1) == 0


def test_a_day_without_a_changed_run_is_not_sure_to_have_none() -> None:
    when = [MONDAY] * 50 + [MONDAY + timedelta(days=1)] * 50
    found = drift(
        rows(100, created_at=when, low=[10.0] * 50 + [12.0] * 50, is_changed=[False] * 50 + [True] * 50), (-10, 2)
    )
    quiet, loud = found.days
    assert quiet.per_run.value == 0 and quiet.per_run.low < 0 < quiet.per_run.high < loud.per_run.low
    assert found.holds(1) == 1


def test_users_are_grouped_by_their_runs_and_each_stands_in_one_group() -> None:
    users = [f"u{number}" for number in range(40) for _ in range(number // 10 + 1)] + [None] * 5
    found = user_groups(
        rows(len(users), external_user_id=users, low=[11.0] * len(users), is_changed=[True] * len(users)), (-1, 1)
    )
    assert [(one.least, one.most, one.user_count, one.logged_count) for one in found] == [
        (runs, runs, 10, 10 * runs) for runs in (1, 2, 3, 4)
    ]
    assert all(one.relative is not None and one.relative.value == pytest.approx(0.1) for one in found)
    once = user_groups(rows(30, external_user_id=[f"u{number}" for number in range(30)]), (-1, 1))
    assert [(one.user_count, one.relative) for one in once] == [(30, None)]
    assert once[0].per_run.low < 0 < once[0].per_run.high


def test_the_time_of_a_run_is_its_nodes_and_the_fields_it_asks_for(planted: Planted) -> None:
    told = story("half_more")
    family = find_family(planted.warehouse, realm=told.family.realm, family=told.family.name)
    lake = planted.warehouse.scoped([told.family.realm])
    [strategy] = {strategy for strategy, number in family.members if number == 2}
    base = definition(lake, strategy, 2)
    assert base is not None
    more = rule(compare("data.distance", ">=", 10**9), assign(1, "Far"))
    asks = rule(compare("user.last_window_diff", "<", -(10**9)), assign(1, "Late"))
    asked = generate_ids({**base.ast, "rules": [more, *base.ast["rules"], asks]})
    found = Rehearsal(
        lake, family, replace(base, ast=asked, program=compile_program(asked), outline=outline(asked)), FIRST, UNTIL
    )
    assert found.time.more_nodes.value == pytest.approx(found.time.nodes.value - found.time.own_nodes.value)
    assert found.time.nodes.value < MAX_NODES
    [query] = found.time.asked
    assert query.path == "user.last_window_diff" and query.ms is None and found.time.dropped == ()
    known, walk = math.isfinite(found.time.per_node.value), found.time.walk
    assert known == (walk.low <= walk.value <= walk.high), (
        "a time is told where the cost of a node is, and nowhere else"
    )


def test_a_replay_that_pays_every_logged_run_alike_says_how_seldom_one_may_differ(planted: Planted) -> None:
    told = story("half_more")
    family = find_family(planted.warehouse, realm=told.family.realm, family=told.family.name)
    lake = planted.warehouse.scoped([told.family.realm])
    runs = family_runs(lake, family, FIRST, UNTIL)
    variants = find_variants(lake, family.realm, group_of("v1", runs[runs["label"] == "v1"]))
    assert variants is not None
    found = replayed(lake, variants, variants.definition, "v1")
    assert found is not None and found.differing_count == found.difference.value == found.per_run.value == 0
    assert found.difference.low < 0 < found.difference.high and found.difference.grade == "too few"
    # 3.7 in so many may differ (Clopper & Pearson 1934), each by as much as two amounts of the program do.
    span = found.rows["points"].max() - found.rows["points"].min()
    assert 0.5 < found.per_run.high / (span * 3.7 / found.decided_count) < 2
