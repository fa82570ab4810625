"""What if: every value of a program by an address that a person can read, and a copy with one of them changed."""

from __future__ import annotations

import copy
import json
import math
import random
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from analytics.demo import dsl
from analytics.demo.population import definition_rows
from analytics.errors import UnknownNameError, UsageError
from analytics.program import compile_program, outline, refusals, words
from analytics.program.edits import Place, edit, places
from analytics.program.outcome import ARITH, COMPARE
from tests.fewer import one_in
from tests.program.test_refusals import PATIENCE, SMALL_HOSTILE, Bomb, cyclic, mutate, taken
from tests.program.test_validator import TRUE, Json, on, program

FAR = dsl.rule(
    dsl.all_of(dsl.compare("data.km", ">", 5), dsl.field("data.flag")),
    dsl.note("why", "far"),
    dsl.assign(3, "Far"),
    node_id="far",
    else_if=[dsl.branch(dsl.compare("data.km", ">", 2), dsl.assign(dsl.arith("data.km", "*", 1.5), "Mid"))],
    otherwise=[dsl.assign(1, "Near")],
)
CLAMPED = dsl.rule(TRUE, dsl.assign(dsl.call("clamp", dsl.field("data.x"), 0, 5), "Clamped"))
TWICE = dsl.rule(
    dsl.any_of(dsl.compare("data.a", "<", 1), dsl.compare("data.a", "<", 1)),
    dsl.assign(2, "Twice"),
    node_id="p.program.0.rule.2",
)
FULL = program(FAR, CLAMPED, TWICE, default=dsl.assign(0, "None"))
EXTEND = program(
    pre_rules=[dsl.rule(TRUE, dsl.effect("set_data", 2, "km"), dsl.veto("No"), node_id="far")],
    post_rules=[
        dsl.rule(TRUE, dsl.effect("set_points", dsl.arith("parent.points", "*", 2)), dsl.effect("set_case_name", "Z"))
    ],
    parent_variables={"variable_bonus_points": 12, "variable_ünder": None},
)


def test_every_value_has_an_address_that_a_person_can_read() -> None:
    assert [(place.where, place.value, place.kind) for place in places(FULL)] == [
        ("rule far › data.km > 5 › operator", ">", "operator"),
        ("rule far › data.km > 5", 5, "literal"),
        ("rule far › call back with why", "far", "literal"),
        ("rule far › case", "Far", "case"),
        ("rule far › assign", 3, "points"),
        ("rule far › data.km > 2 › operator", ">", "operator"),
        ("rule far › data.km > 2", 2, "literal"),
        ("rule far › else if 1 › case", "Mid", "case"),
        ("rule far › (data.km * 1.5) › operator", "*", "operator"),
        ("rule far › (data.km * 1.5)", 1.5, "literal"),
        ("rule far › else › case", "Near", "case"),
        ("rule far › else › assign", 1, "points"),
        ("rule 2 › when", True, "literal"),
        ("rule 2 › case", "Clamped", "case"),
        ("rule 2 › clamp(data.x, 0, 5) › low", 0, "literal"),
        ("rule 2 › clamp(data.x, 0, 5) › high", 5, "literal"),
        ("$.rules[2].when.args[0].op", "<", "operator"),
        ("$.rules[2].when.args[0].right.value", 1, "literal"),
        ("$.rules[2].when.args[1].op", "<", "operator"),
        ("$.rules[2].when.args[1].right.value", 1, "literal"),
        ("rule 3 › case", "Twice", "case"),
        ("rule 3 › assign", 2, "points"),
        ("otherwise › case", "None", "case"),
        ("otherwise › assign", 0, "points"),
    ]
    assert [(place.where, place.value) for place in places(EXTEND)] == [
        ("built-in › variable_bonus_points", 12),
        ("built-in › variable_ünder", None),
        ("before the built-in, rule far › when", True),
        ("before the built-in, rule far › set data.km", 2),
        ("before the built-in, rule far › case", "No"),
        ("after the built-in, rule 1 › when", True),
        ("after the built-in, rule 1 › (parent.points * 2) › operator", "*"),
        ("after the built-in, rule 1 › (parent.points * 2)", 2),
        ("after the built-in, rule 1 › set case", "Z"),
    ]
    assert places(EXTEND)[1] == Place(
        "built-in › variable_ünder", None, '$.parent_variables["variable_ünder"]', "variable"
    )


@pytest.mark.parametrize(
    ("where", "path"),
    [
        ("rule far › assign", "$.rules[0].then[1].value.value"),
        ("rule 1 › assign", "$.rules[0].then[1].value.value"),
        ("rule 1 far › assign", "$.rules[0].then[1].value.value"),
        ("  rule  far ›  assign ", "$.rules[0].then[1].value.value"),
        ("rule 1 far › assign 3 points, case Far", "$.rules[0].then[1].value.value"),
        ("$.rules[0].then[1].value.value", "$.rules[0].then[1].value.value"),
        ("rule 1 far › data.km > 5 › right", "$.rules[0].when.args[0].right.value"),
        ("rule far › else if 1 › data.km > 2", "$.rules[0].else_if[0].when.right.value"),
        ("rule far › else if 1 › assign › (data.km * 1.5)", "$.rules[0].else_if[0].then[0].value.right.value"),
        ("rule 2 › clamp(data.x, 0, 5) › high", "$.rules[1].then[0].value.args[2].value"),
        ("rule 3 › data.a < 1", None),
    ],
)
def test_an_address_may_be_spelled_as_pages_do(where: str, path: str | None) -> None:
    if path is None:
        with pytest.raises(UsageError, match=r"“rule 3 › data\.a < 1” names 2 values") as error:
            edit(FULL, where, 7)
        assert error.value.hint.splitlines() == [
            "say which:",
            "  $.rules[2].when.args[0].right.value (1)",
            "  $.rules[2].when.args[1].right.value (1)",
        ]
    else:
        assert edit(FULL, where, 7) == edit(FULL, path, 7)
        assert [one.path for one in changed(FULL, edit(FULL, where, 7))] == [path]


def changed(old: Json, new: Json) -> list[Place]:
    return [
        before
        for before, after in zip(places(old), places(new), strict=True)
        if (before.value, type(before.value)) != (after.value, type(after.value))
    ]


def another(place: Place) -> Any:
    if place.kind == "operator":
        return next(one for one in (COMPARE if place.value in (*COMPARE, "=~") else ARITH) if one != place.value)
    value = place.value
    if isinstance(value, bool):
        return 7 if place.kind == "points" else not value
    if place.kind == "points" and not isinstance(value, int | float):
        return 7
    return -value - 1 if isinstance(value, int | float) else "another"


DEMO = [json.loads(row["astJson"]) for row in definition_rows(date(2026, 7, 11))]


@pytest.mark.parametrize("ast", [FULL, EXTEND, *taken(), *one_in(3, DEMO)])
def test_every_place_leads_to_its_value_and_only_that_changes(ast: Any) -> None:
    before = copy.deepcopy(ast)
    found, refused = places(ast), refusals(ast)
    assert len({place.where for place in found}) == len({place.path for place in found}) == len(found)
    for place in random.Random(1).sample(found, min(len(found), 12)):
        value = another(place)
        new = edit(ast, place.where, value)
        assert set(refusals(new)) <= set(refused)
        assert [one.path for one in changed(ast, new)] == [place.path]
        assert new == edit(ast, place.path, value)
    assert ast == before


def test_a_page_names_places_by_the_words_that_are_addresses() -> None:
    program_outline = outline(FULL)
    payment = next(node for node in program_outline.nodes if node.type == "assign_points")
    assert edit(FULL, words.place(program_outline, payment.position), 9) == edit(FULL, "rule far › assign", 9)


def test_what_is_edited_runs_with_the_new_value_and_shares_nothing() -> None:
    run = {"data.km": 6, "data.flag": True}
    new = edit(FULL, "rule far › assign", 12)
    assert compile_program(FULL).run(run).points == 3
    assert compile_program(new).run(run).points == 12
    rules: Any = new["rules"]
    rules[1]["when"]["value"] = False
    assert TRUE["value"] is True
    shared = dsl.assign(1, "A")
    both = edit(program(on(TRUE, shared), on(TRUE, shared)), "rule 1 › assign", 2)
    assert [place.value for place in places(both) if place.kind == "points"] == [2, 1]


def test_a_path_leads_to_any_part_of_a_program() -> None:
    assert edit(FULL, "$.rules[0].when", TRUE)["rules"] != FULL["rules"]
    node = dsl.compare("data.km", "<", 1)
    new: Any = edit(FULL, "$.rules[1].when", node)
    assert new["rules"][1]["when"] == node
    assert new["rules"][1]["when"] is not node
    assert edit(FULL, "$.rules[0].id", "farther")["rules"] != FULL["rules"]
    assert edit(FULL, "$.rules", [])["rules"] == []
    assert edit(FULL, "$.rules[0].when.args[1].path", "data.flagged")
    long = program(parent_variables={"variable_" + "x" * 300 + '"\n': 1})
    assert edit(long, places(long)[0].where, 2)["parent_variables"] == {"variable_" + "x" * 300 + '"\n': 2}


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        ("rule far › assign", "7", "points are a number"),
        ("rule far › assign", True, "points are a number"),
        ("rule far › assign", None, "points are a number"),
        ("rule far › assign", math.nan, "a literal is nan, which JSON does not know"),
        ("rule far › assign", 10**5000, "more than 4,300 digits"),
        ("rule far › assign", [1], "points are a number"),
        ("rule far › case", "", "a case name is 1 to 200 printable ASCII characters"),
        ("rule far › case", "Weit über Land", "a case name is"),
        ("rule far › data.km > 5", "5", "it is a number now, and that is a text"),
        ("rule far › data.km > 5", False, "it is a number now, and that is a truth value"),
        ("rule far › data.km > 5", Bomb(), "it is no number, text, true, false or null"),
        ("rule far › data.km > 5", {"a": 1}, "it is no number, text, true, false or null"),
        ("rule far › data.km > 5 › operator", "=>", "the operators are < <= == != >= >"),
        ("rule far › (data.km * 1.5) › operator", ">", "the operators are + - * / min max"),
        ("rule 2 › when", 1, "it is a truth value now, and that is a number"),
        ("rule far › call back with why", "\ud800", "half a character"),
        ("$.rules[0].when", dsl.lit([]), "a literal is no number, text, true, false or null"),
        ("$.rules[0].when", 3, "a condition is no object"),
        ("$.rules[0].then", [], "the then of a rule is no list of statements"),
        ("$.rules[0].when.args[1].path", "user.secret", "it reads the unknown field"),
        ("$.type", "rule", "its root is of type"),
        ("$.rules[0].when", cyclic()["rules"][0]["when"], "a condition holds itself"),
    ],
    ids=range(22),  # a number of 5,000 digits cannot be an id
)
def test_a_value_that_does_not_fit_is_refused_with_its_reason(where: str, value: Any, why: str) -> None:
    with pytest.raises(UsageError) as error:
        edit(FULL, where, value)
    assert why in error.value.message
    assert error.value.hint
    assert error.value.message.isprintable()


@pytest.mark.parametrize(
    ("where", "near"),
    [
        ("rule fat › assign", "did you mean 'rule far › assign'"),
        ("rule far › Assign", "did you mean 'rule far › assign'"),
        ("rule 9 › assign", "did you mean 'rule 3 › assign'"),
        ("far", "did you mean 'rule far › data.km > 5 › operator'"),
        ("", ""),
        ("$", ""),
        ("$.", ""),
        ("$.rules[9].when", ""),
        ("$.rules[-1].when", ""),
        ("$.rules.0", ""),
        ("$.rules[0].then[1].value.value.deeper", ""),
        ("$.parent_variables.variable_new", ""),
        ('$["rules"', ""),
        ("x" * 1_000_000, ""),
        ("a\u202eb", ""),
    ],
)
def test_an_unknown_address_is_answered_with_those_there_are(where: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match="nothing in the program has the address") as error:
        edit(FULL, where, 1)
    assert near in error.value.hint
    assert "the program has 24 values\n  rule far › data.km > 5 › operator\n" in error.value.hint
    assert error.value.hint.endswith("and 4 more: places(program)")
    assert error.value.message.isprintable()
    assert len(error.value.message) < 200


@pytest.mark.parametrize("where", [None, 3, ["rules"], Bomb()])
def test_an_address_is_a_text(where: Any) -> None:
    with pytest.raises(UsageError, match="an address is a text"):
        edit(FULL, where, 1)


def test_rules_of_one_name_are_told_apart_by_their_number() -> None:
    ast = program(
        *[dsl.rule(TRUE, dsl.assign(1, "A"), node_id=name) for name in ("far", "far", "2", "a › b", "\u202e")]
    )
    assert [place.where for place in places(ast) if place.kind == "points"] == [
        "rule 1 far › assign",
        "rule 2 far › assign",
        "rule 3 2 › assign",
        "rule a › b › assign",
        "rule \\u202e › assign",
    ]
    with pytest.raises(UsageError, match="“rule far › assign” names 2 values"):
        edit(ast, "rule far › assign", 2)
    with pytest.raises(UsageError, match="“rule 2 › assign” names 2 values"):
        edit(ast, "rule 2 › assign", 2)
    assert edit(ast, "rule \u202e › assign", 2) == edit(ast, "rule 5 › assign", 2)


def test_what_the_engine_would_refuse_elsewhere_hinders_no_edit() -> None:
    ast = program(on(TRUE, dsl.assign(1, None)), on(TRUE, {"type": "jump"}), 3, *[on(dsl.lit([1]))] * 300)
    new = edit(ast, "rule 1 › assign", 2)
    assert [one.value for one in changed(ast, new)] == [1]
    assert refusals(new) == refusals(ast)
    assert refusals(edit(ast, "rule 1 › case", "A"))[0].path == "$.rules[1].then[0].type"
    assert edit(ast, "rule 4 › when", True) != ast
    with pytest.raises(UsageError, match="it is no number, text, true, false or null"):
        edit(ast, "rule 4 › when", [2])


@pytest.mark.parametrize("make", [row[1] for row in SMALL_HOSTILE], ids=[row[0] for row in SMALL_HOSTILE])
def test_hostile_programs_are_read_or_refused_in_bounded_time(make: Callable[[], Any]) -> None:
    ast = make()
    begun = time.thread_time()
    for call in (lambda: places(ast), lambda: edit(ast, "rule 1 › nothing", 1)):
        try:
            call()
        except UsageError as error:
            assert len(error.message) < 300
            assert error.hint
    assert time.thread_time() - begun < PATIENCE


def test_mutants_are_read_or_refused_and_nothing_else_is_raised() -> None:
    chance = random.Random(5)
    read = 0
    for _ in range(150):
        ast = copy.deepcopy(chance.choice([FULL, EXTEND]))
        for _ in range(3):
            mutate(chance, ast)
        try:
            found = places(ast)
            assert len({place.where for place in found}) == len(found)
            for place in found:
                edit(ast, place.where, another(place))
        except UsageError:
            continue
        read += 1
    assert read > 20


def test_large_programs_are_read_in_bounded_time() -> None:
    wide = program(on(dsl.all_of(*[TRUE] * 450), dsl.assign(1, "A")))
    ladder = program(*[on(dsl.ladder("data.km", 5, 60)) for _ in range(5)])
    begun = time.thread_time()
    for ast in (wide, ladder):
        found = places(ast)
        assert len({place.where for place in found}) == len(found)
        edit(ast, found[-1].where, found[-1].value)
    assert time.thread_time() - begun < PATIENCE
