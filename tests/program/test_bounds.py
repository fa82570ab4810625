"""What a program may pay when fields are missing: never less or more than it does for any value of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics.demo import dsl
from analytics.program import ParentResult, evaluate
from analytics.program.bounds import bounds_of, points_bounds
from analytics.program.failing import pays_at_worst
from tests.fewer import examples
from tests.program.test_program import PROGRAMS

Json = dict[str, Any]


def program(*rules: Json, default: Json | None = None) -> Json:
    return {"rules": list(rules), "default": default}


TWO_CASES = program(
    dsl.rule(dsl.compare("data.x", ">", 5), dsl.assign(10, "A")),
    dsl.rule(dsl.compare("data.y", ">", 5), dsl.assign(4, "B")),
    default=dsl.assign(1, "C"),
)


@pytest.mark.parametrize(
    ("ast", "fields", "bounds"),
    [
        (TWO_CASES, {"data.x": 6}, (10, 10)),
        (TWO_CASES, {"data.x": 1}, (1, 4)),
        (TWO_CASES, {"data.y": 6}, (4, 10)),
        (TWO_CASES, {}, (1, 10)),
        (program(dsl.rule(dsl.lit(True), dsl.assign(dsl.call("clamp", dsl.field("x"), 0, 10), "A"))), {}, (0, 10)),
        (program(dsl.rule(dsl.lit(True), dsl.assign(dsl.arith("x", "*", 3), "A"))), {}, (-math.inf, math.inf)),
        (program(dsl.rule(dsl.all_of(dsl.lit(False), dsl.field("x")), dsl.assign(5, "A"))), {}, (0, 0)),
        (program(dsl.rule(dsl.any_of(dsl.field("x"), dsl.lit(True)), dsl.assign(5, "A"))), {}, (5, 5)),
        (program(dsl.rule(dsl.negate(dsl.field("x")), dsl.assign(5, "A"))), {}, (0, 5)),
        (program(dsl.rule(dsl.field("x"), dsl.assign(dsl.arith(dsl.lit(1), "/", 0), "A"))), {}, (0, 0)),
        (program(dsl.rule(dsl.field("x"), dsl.assign(dsl.arith(dsl.lit("a"), "*", 2), "A"))), {}, (0, 0)),
        # It fails where the divisor is zero, whatever comes after: then it pays nothing.
        (
            program(dsl.rule(dsl.lit(True), dsl.note("x", dsl.arith("x", "/", 0))), default=dsl.assign(3, "C")),
            {},
            (0, 0),
        ),
        (
            program(
                dsl.rule(dsl.lit(True), dsl.note("x", dsl.arith(dsl.lit(1), "/", dsl.field("x")))),
                default=dsl.assign(3, "C"),
            ),
            {},
            (0, 3),
        ),
        (
            program(dsl.rule(dsl.lit(True), dsl.note("x", dsl.arith("x", "/", 2))), default=dsl.assign(3, "C")),
            {},
            (3, 3),
        ),
        (program(dsl.rule(dsl.lit(True), dsl.halt()), default=dsl.assign(3, "C")), {}, (0, 0)),
        ({"rules": "odd"}, {}, (0, 0)),
        (program({"when": dsl.compare("x", ["<"], 1)}), {}, (0, 0)),  # type: ignore[arg-type]
    ],
)
def test_bounds_by_hand(ast: Json, fields: Json, bounds: tuple[float, float]) -> None:
    assert points_bounds(ast, fields) == bounds


def test_the_post_phase_starts_from_the_parents_answer() -> None:
    ast = {"post_rules": [dsl.rule(dsl.field("x"), dsl.effect("set_points", dsl.arith("parent.points", "+", 2)))]}
    assert points_bounds(ast, {"parent.points": 3}, phase="post", parent_points=3) == (3, 5)
    assert points_bounds(ast, {}, phase="post") == (-math.inf, math.inf)


NUMBERS = st.integers(-4, 4) | st.sampled_from([0.5, -2.5, 1e9])


@example(
    {"default": {"type": "assign_points", "value": {"type": "literal", "value": 2**53 + 1}, "key": "k", "case_name": "A"}},
    0, [0], "full",
)  # fmt: skip
@example(
    {"default": {"type": "assign_points", "value": {"type": "literal", "value": 10**310}, "key": "k", "case_name": "A"}},
    0, [0], "full",
)  # fmt: skip
@pytest.mark.more
@settings(max_examples=examples(75), deadline=None)
@given(PROGRAMS, NUMBERS, st.lists(NUMBERS | st.booleans(), min_size=1, max_size=5), st.sampled_from(["full", "post"]))
def test_no_value_of_the_missing_field_pays_more_or_less(ast: Json, known: Any, tried: list[Any], phase: Any) -> None:
    low, high = points_bounds(ast, {"a": known}, phase=phase, parent_points=2)
    assert low <= high
    for value in tried:
        outcome = evaluate(ast, {"a": known, "b": value, "missing": value}, phase=phase, parent=ParentResult(2, "p"))
        paid = outcome.points if outcome.ok else 0
        if isinstance(paid, int) or (
            isinstance(paid, float) and not math.isnan(paid)
        ):  # a whole number may outgrow a float
            assert low <= paid <= high


def test_products_of_large_whole_numbers_do_not_outgrow_a_float():
    def whole(path):
        args = [{"type": "field", "path": path}, {"type": "literal", "value": 0}, {"type": "literal", "value": 1e308}]
        return {"type": "func_call", "name": "int", "args": [{"type": "func_call", "name": "clamp", "args": args}]}

    product = {"type": "arith", "op": "*", "left": whole("data.a"), "right": whole("data.b")}
    value = {"type": "arith", "op": "+", "left": product, "right": {"type": "literal", "value": 0.5}}
    rule = {
        "when": {"type": "literal", "value": True},
        "then": [{"type": "assign_points", "value": value, "case_name": "a"}],
    }
    assert points_bounds({"rules": [rule]}, {}) == (0.5, math.inf)


def test_an_unknown_field_beside_what_is_no_number_may_fail_the_run():
    compare = {"type": "compare", "left": {"type": "field", "path": "b"}, "right": {"type": "literal", "value": None}}
    rule = {"when": {**compare, "op": "<"}, "then": []}
    assert points_bounds({"post_rules": [rule]}, {}, phase="post", parent_points=2) == (0, 2)
    rule["when"] = {**compare, "op": "=="}
    assert points_bounds({"post_rules": [rule]}, {}, phase="post", parent_points=2) == (2, 2)


def paying(op: str = "==", to: Any = "x", pays: Any = 5) -> Json:
    return program(dsl.rule(dsl.compare("data.a", op, dsl.lit(to)), dsl.assign(pays, "A")))


@pytest.mark.parametrize(
    ("ast", "may"),
    [
        (paying(), False),  # data.a == "x" pays 5: no event makes that fail
        (paying(">="), True),  # a number has no order beside a text
        (paying(">=", 3), True),  # nor has the null of a key that the event lacks
        (paying("!=", None), False),
        (paying(pays=dsl.field("data.b")), True),  # points that are no number
        (paying(pays=dsl.arith(dsl.lit(6), "/", 3)), False),
        (paying(pays=dsl.arith(dsl.lit(6), "/", 0)), True),
        (paying(pays=dsl.arith("data.b", "/", 2)), True),
        (paying(pays=dsl.call("clamp", dsl.field("data.b"), 0, 1)), True),
        (program(dsl.rule(dsl.field("data.a"), dsl.note("x", dsl.field("data.b")))), False),
        (program(dsl.rule(dsl.field("data.a"), dsl.note("x", dsl.arith("data.b", "-", 1)))), True),
        (program(dsl.rule(dsl.field("data.a"), dsl.effect("set_case_name", dsl.field("data.b")))), True),
        # What is known decides that nobody comes by.
        (program(dsl.rule(dsl.all_of(dsl.field("known"), dsl.compare("data.a", ">", 1)), dsl.assign(5, "A"))), False),
    ],
)
def test_a_run_may_fail_on_what_is_not_known_unless_no_value_makes_it(ast: Json, may: bool) -> None:
    assert bounds_of(ast, {"known": False}).may_fail is may


ANYTHING = NUMBERS | st.booleans() | st.none() | st.sampled_from(["", "a"]) | st.just([]) | st.just({"a": 1})


@pytest.mark.more
@settings(max_examples=examples(75), deadline=None)
@given(PROGRAMS, NUMBERS, st.lists(ANYTHING, min_size=1, max_size=8), st.sampled_from(["full", "post"]))
def test_no_value_fails_a_run_that_may_not_and_at_worst_holds_what_any_value_pays(
    ast: Json, known: Any, tried: list[Any], phase: Any
) -> None:
    found = bounds_of(ast, {"a": known}, phase=phase, parent_points=2)
    low, high = found.at_worst
    for value in tried:
        outcome = evaluate(ast, {"a": known, "b": value, "missing": value}, phase=phase, parent=ParentResult(2, "p"))
        assert outcome.ok or found.may_fail
        paid = outcome.points if outcome.ok else 0
        if isinstance(paid, int) or (isinstance(paid, float) and not math.isnan(paid)):
            assert low <= paid <= high


def test_a_program_that_may_fail_or_meet_a_cap_pays_nothing_at_worst() -> None:
    assert pays_at_worst(paying(">=", 3)) == (0, 5)
    same = program(dsl.rule(dsl.compare("data.a", ">=", 3), dsl.assign(5, "A")), default=dsl.assign(5, "B"))
    assert points_bounds(same, {}) == (5, 5) and pays_at_worst(same) == (0, 5)
    sure = program(dsl.rule(dsl.field("data.a"), dsl.assign(5, "A")), default=dsl.assign(7, "B"))
    assert pays_at_worst(sure) == (5, 7)
    large = program(*[dsl.rule(dsl.field("data.a"), dsl.note("x", 1))] * 400, default=dsl.assign(7, "B"))
    assert points_bounds(large, {}) == (7, 7) and pays_at_worst(large) == (0, 7)
