"""What the validator counts when a version is saved, and what it refuses: both as the engine's own did."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.demo import dsl
from analytics.program import compile_program
from analytics.program.validator import published_size

Json = dict[str, Any]
TRUE, ONE, KM = dsl.lit(True), dsl.lit(1), dsl.field("data.km")
PAY = dsl.assign(1, "A")


def program(*rules: Any, **rest: Any) -> Json:
    return {"type": "program", "rules": list(rules), **rest}


def on(when: Any, *then: Any, **rest: Any) -> Json:
    return {"type": "rule", "when": when, "then": list(then or (PAY,)), **rest}


def nested(depth: int) -> Json:
    """A program whose deepest node stands so deep: the condition of its rule is at 2."""
    found = TRUE
    for _ in range(depth - 2):
        found = dsl.negate(found)
    return program(on(found))


CLAMP = dsl.call("clamp", KM, 0, 5)
ELSE = {"else_if": [{"when": dsl.negate(TRUE), "then": [PAY]}, {"when": KM, "then": [PAY, PAY]}], "else": [PAY]}
PARENT = on(dsl.compare("parent.points", ">", 1), {"type": "set_points", "value": ONE})
# (what it is, the program, nodes and depth that the engine's validator counted).
COUNTED = [
    ("no rule at all", program(), (1, 0)),
    ("a bare literal as condition", program(on(TRUE)), (6, 3)),
    ("a bare field as condition", program(on(KM)), (6, 3)),
    ("a comparison", program(on(dsl.compare("data.km", ">", 1))), (7, 3)),
    ("not", program(on(dsl.negate(TRUE))), (7, 3)),
    ("and of three", program(on(dsl.all_of(TRUE, KM, dsl.compare(KM, "<", 2)))), (12, 4)),
    ("or of one", program(on(dsl.any_of(dsl.negate(KM)))), (8, 4)),
    ("arithmetic in a comparison", program(on(dsl.compare(dsl.arith(KM, "+", 1), "<", CLAMP))), (12, 4)),
    ("else_if and else", program(on(TRUE, **ELSE)), (21, 3)),
    ("two statements", program(on(TRUE, dsl.note("a", dsl.arith(KM, "*", 2)), {"type": "return"})), (9, 4)),
    ("a default", program(default=dsl.assign(dsl.arith(ONE, "-", 2), "A")), (5, 3)),
    ("what stands behind the first rule that pays", program(on(TRUE), on(TRUE), on(TRUE)), (16, 3)),
    ("both phases", program(pre_rules=[on(TRUE, dsl.veto("No"))], post_rules=[PARENT]), (11, 3)),
    ("variables of the parent", program(parent_variables={"variable_a": 1}), (1, 0)),
    ("as deep as may be", nested(32), (36, 32)),
    ("an else_if as deep as may be",
     program(on(TRUE, else_if=[{"when": nested(32)["rules"][0]["when"], "then": [PAY]}])), (41, 32)),
    ("199 rules", program(*[on(dsl.lit(False))] * 199), (996, 3)),
    ("a case name that ends in a line break", program(on(TRUE, dsl.assign(1, "A\n"))), (6, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("ast", "counted"), [row[1:] for row in COUNTED], ids=[row[0] for row in COUNTED])
def test_the_validator_counts_the_whole_program_as_the_engines_did(ast: Json, counted: tuple[int, int]) -> None:
    found = published_size(ast)
    assert (found.nodes, found.depth) == counted
    assert found.refusal == ""


# (what it is, the program, why it is refused): the engine's validator refused each of them.
REFUSED = [
    ("deeper than 32", nested(33), "it nests 33 deep, and 32 is the most"),
    ("201 rules", program(*[on(TRUE)] * 201), "it has 1,006 nodes, and 1,000 is the most"),
    ("a list", [], "it is no object"),
    ("a root without a type", {"rules": []}, "its root is without a type and no program"),
    ("no rules", {"type": "program", "pre_rules": []}, "the program lacks rules"),
    ("rules that are none", {"type": "program", "rules": None}, "rules is no list"),
    ("a rule that is a number", program(3), "a rule is no object"),
    ("a rule without a type", program({"when": TRUE, "then": [PAY]}), "a rule is without a type"),
    ("an empty then", program({"type": "rule", "when": TRUE, "then": []}), "the then of a rule is no list of statements"),
    ("an empty else", program(on(TRUE, **{"else": []})), "the else of a rule is no list of statements"),
    ("an empty and", program(on({"type": "and", "args": []})), "the args of and are no list with something in it"),
    ("arithmetic as condition", program(on(dsl.arith(KM, "+", 1))), "arith stands for a condition, which it may not"),
    ("a call as condition", program(on(dsl.call("int", KM))), "func_call stands for a condition, which it may not"),
    ("a comparison as value", program(on(TRUE, dsl.assign(dsl.compare(KM, ">", 1), "A"))),
     "it holds a node of the unknown type “compare”"),
    ("a branch with a type", program(on(TRUE, else_if=[{"type": "rule", "when": TRUE, "then": [PAY]}])),
     "an else_if branch holds the unknown key “type”"),
    ("a list of defaults", program(default=[PAY]), "a statement is no object"),
    ("a veto among the rules", program(on(TRUE, dsl.veto("No"))), "veto stands in rules, where it may not"),
    ("points assigned after the parent", program(post_rules=[on(TRUE)]), "assign_points stands in post_rules, where it may not"),
    ("a key too many", program(on({**TRUE, "note": 1})), "literal holds the unknown key “note”"),
    ("clamp of two", program(on(TRUE, dsl.assign(dsl.call("clamp", 1, 2), "A"))), "clamp is called with 2 and takes 3"),
    ("a field nobody knows", program(on(dsl.field("user.secret"))), "it reads the unknown field “user.secret”"),
    ("the parent read before it ran", program(on(dsl.field("parent.points"))),
     "parent.points is read in rules, where there is none"),
    ("a case name in Greek", program(on(TRUE, dsl.assign(1, "λ"))),
     "the case name of assign_points is not 1 to 200 printable ASCII characters"),
    ("a type that is a list", program(on({"type": ["and"]})), "it holds a node of the unknown type “['and']”"),
]  # fmt: skip


@pytest.mark.parametrize(("ast", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_the_engines_validator_refuses_is_refused_here_and_said_why(ast: Any, why: str) -> None:
    assert published_size(ast).refusal == why


def test_a_program_is_counted_to_its_end_whatever_is_wrong_with_it() -> None:
    broken = program(on({"type": "exec_shell"}), *[on(TRUE)] * 200)
    assert published_size(broken).nodes == 1 + 4 + 200 * 5
    assert published_size(broken).smallest_rule == 4


def test_the_validator_counts_what_no_run_reads() -> None:
    found = program(*[on(dsl.compare("data.km", ">", 1))] * 150)
    assert (published_size(found).nodes, published_size(found).refusal) == (901, "")
    assert compile_program(found).run({"data.km": 2}).visits == 7


def test_another_limit_moves_what_is_refused() -> None:
    assert published_size(program(on(TRUE)), max_nodes=5).refusal == "it has 6 nodes, and 5 is the most"
    assert published_size(nested(33), max_depth=40).refusal == ""
