"""The rule language: what a program pays, what it leaves in the trace, and how it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics import program as public
from analytics.program import (
    Outcome,
    ParentResult,
    analytics_paths,
    compile_program,
    evaluate,
    generate_ids,
    size,
    walk,
)
from tests.fewer import examples

Json = dict[str, Any]


def lit(value: Any, **more: Any) -> Json:
    return {"type": "literal", "value": value, **more}


def field(path: str, **more: Any) -> Json:
    return {"type": "field", "path": path, **more}


def binary(kind: str, left: Any, op: str, right: Any, **more: Any) -> Json:
    return {"type": kind, "op": op, "left": lit(left), "right": lit(right), **more}


def assign(value: Json) -> Json:
    return {"type": "assign_points", "value": value, "case_name": None}


def pay(value: Json) -> Json:
    """A program that pays what an expression says."""
    return {"rules": [{"id": "r", "when": lit(True), "then": [assign(value)]}]}


def when(condition: Json, then: int = 1) -> Json:
    """A program that pays when a condition holds."""
    return {"rules": [{"id": "r", "when": condition, "then": [assign(lit(then))]}]}


def entries(outcome: Outcome) -> list[tuple[Any, ...]]:
    """(node id, type, value[, branch]) of each trace entry."""
    return [tuple(entry.values()) for entry in outcome.trace or []]


def both(program: Json, fields: Json | None = None, **options: Any) -> Outcome:
    """Run with and without a trace: everything but the trace must agree."""
    traced = evaluate(program, fields or {}, **options)
    quick = evaluate(program, fields or {}, keep_trace=False, **options)
    assert quick.trace is None
    for name in ("status", "error_code", "case_name", "callback_data", "working_data", "visits", "nodes", "halted"):
        assert getattr(traced, name) == getattr(quick, name), name
    assert repr(traced.points) == repr(quick.points)  # NaN equals nothing, itself included
    assert traced.nodes == len(traced.trace or [])
    return traced


def test_operands_come_first_then_the_node_and_a_rule_stands_between_its_condition_and_its_statements() -> None:
    program = {
        "rules": [
            {
                "id": "r1",
                "when": {
                    "id": "c",
                    "type": "compare",
                    "op": "<",
                    "left": field("data.n", id="f"),
                    "right": lit(5, id="l"),
                },
                "then": [
                    {"id": "a", "type": "assign_points", "value": lit(7, id="v"), "case_name": "Few"},
                ],
            }
        ]
    }
    outcome = both(program, {"data.n": 3})
    assert entries(outcome) == [
        ("f", "field", 3),
        ("l", "literal", 5),
        ("c", "compare", True),
        ("r1", "rule", True, "match"),
        ("v", "literal", 7),
        ("a", "assign_points", 7, "match"),
    ]
    assert (outcome.status, outcome.points, outcome.case_name, outcome.halted) == ("ok", 7, "Few", True)
    assert (outcome.nodes, outcome.visits) == (6, 7)  # the program itself is a visit that leaves no entry
    assert list((outcome.trace or [])[0]) == ["nodeId", "type", "value"]  # no branch key, rather than a null one


def test_a_rule_takes_the_first_true_branch_and_says_which() -> None:
    program = {
        "rules": [
            {
                "id": "r",
                "when": field("a"),
                "then": [assign(lit(1))],
                "else_if": [
                    {"when": field("b"), "then": [assign(lit(2))]},
                    {"when": field("c"), "then": [assign(lit(3))]},
                ],
                "else": [assign(lit(4))],
            }
        ]
    }
    for fields, points, value, branch in (
        ({"a": 1, "b": 1, "c": 1}, 1, True, "match"),
        ({"a": 0, "b": "x", "c": 1}, 2, True, "elseif:0"),
        ({"a": None, "b": [], "c": 1}, 3, True, "elseif:1"),
        ({"a": 0, "b": 0, "c": 0}, 4, False, "else"),
    ):
        outcome = both(program, fields)
        assert outcome.points == points
        assert ("r", "rule", value, branch) in entries(outcome)
    assert (
        both(program, {"a": 0, "b": 0, "c": 1}).visits == 12
    )  # program, rule, 3 bare fields twice, 2 branches, payment


def test_a_rule_without_an_else_is_skipped_and_the_next_one_follows() -> None:
    program = {
        "rules": [
            {"id": "r1", "when": lit(False), "then": [assign(lit(1))]},
            {"id": "r2", "when": lit(True), "then": [{"type": "set_callback_data", "key": "k", "value": lit([1])}]},
            {"id": "r3", "when": lit(True), "then": [{"type": "assign_points", "value": lit(9), "case_name": "End"}]},
            {"id": "r4", "when": lit(True), "then": [assign(lit(1))]},
        ]
    }
    outcome = both(program)
    assert [entry for entry in entries(outcome) if entry[1] == "rule"] == [
        ("r1", "rule", False, "skip"),
        ("r2", "rule", True, "match"),
        ("r3", "rule", True, "match"),
    ]
    assert (outcome.points, outcome.case_name, outcome.callback_data) == (9, "End", {"k": [1]})


def test_nothing_matched_is_zero_points_without_a_case_unless_there_is_a_default() -> None:
    assert (both({"rules": []}).points, both({"rules": []}).case_name) == (0, None)
    outcome = both({"rules": [], "default": {"id": "d", "type": "assign_points", "value": lit(2), "case_name": "D"}})
    assert (outcome.points, outcome.case_name) == (2, "D")
    assert entries(outcome) == [(None, "literal", 2), ("d", "assign_points", 2, "match")]


@pytest.mark.parametrize(
    ("kind", "values", "value", "branch", "read"),
    [
        ("and", [True, True], True, None, 2),
        ("and", [True, False, True], False, "short_circuit:1", 2),
        ("and", [True, False], False, "short_circuit:1", 2),
        ("or", [False, True, True], True, "short_circuit:1", 2),
        ("or", [False, "yes"], True, "short_circuit:1", 2),
        ("or", [0, ""], False, None, 2),
        ("and", [], True, None, 0),
        ("or", [], False, None, 0),
    ],
)
def test_junctions_stop_at_the_argument_that_decides(
    kind: str, values: list[Any], value: bool, branch: str | None, read: int
) -> None:
    outcome = both(when({"id": "j", "type": kind, "args": [lit(item) for item in values]}))
    found = entries(outcome)
    assert found[read] == (("j", kind, value) if branch is None else ("j", kind, value, branch))
    assert len([entry for entry in found[:read] if entry[1] == "literal"]) == read


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (binary("arith", 7, "/", 2), 3.5),
        (binary("arith", "a", "+", "b"), "ab"),
        (binary("arith", [1], "+", ["1"]), [1, "1"]),
        (binary("arith", 3, "-", True), 2),
        (binary("arith", 2, "*", 10**299), 2 * 10**299),
        (binary("arith", 4, "min", 2.5), 2.5),
        (binary("arith", 4, "max", 2.5), 4),
        ({"type": "func_call", "name": "int", "args": [lit(-2.9)]}, -2),
        ({"type": "func_call", "name": "int", "args": [lit("12")]}, 12),
        ({"type": "func_call", "name": "clamp", "args": [lit(9), lit(0), lit(5)]}, 5),
        ({"type": "func_call", "name": "clamp", "args": [lit(-1), lit(0), lit(5)]}, 0),
        (lit({"nodeId": "x", "type": "rule"}), {"nodeId": "x", "type": "rule"}),
    ],
)
def test_expressions_follow_python(expression: Json, value: Any) -> None:
    statement = {"id": "s", "type": "set_callback_data", "key": "k", "value": expression}
    outcome = both({"rules": [{"when": lit(True), "then": [statement]}]})
    assert outcome.ok
    assert json.dumps(outcome.callback_data["k"]) == json.dumps(value)
    assert entries(outcome)[-1] == ("s", "set_callback_data", value)


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ({"type": "not", "arg": lit([])}, True),
        (binary("compare", 1, "==", True), True),
        (binary("compare", 1, "==", "1"), False),
        (binary("compare", None, "!=", 1), True),
        (binary("compare", "b", ">=", "a"), True),
        (binary("compare", [1, 2], "<", [1, 3]), True),
    ],
)
def test_conditions_follow_python(condition: Json, value: bool) -> None:
    outcome = both(when({"id": "c", **condition}))
    assert (outcome.status, outcome.halted) == ("ok", value)
    assert ("c", condition["type"], value) in entries(outcome)


@pytest.mark.parametrize(
    ("code", "program"),
    [
        ("DSL_ARITH_DIV_BY_ZERO", pay(binary("arith", 1, "/", 0))),
        ("DSL_ARITH_TYPE_MISMATCH", pay(binary("arith", "a", "-", 1))),
        ("DSL_ARITH_TYPE_MISMATCH", pay(binary("arith", None, "max", 1))),
        ("DSL_COMPARE_TYPE_MISMATCH", when(binary("compare", 1, "<", None))),
        ("DSL_COMPARE_TYPE_MISMATCH", when(binary("compare", "1", ">=", 1))),
        ("DSL_ASSIGN_POINTS_NOT_NUMBER", pay(lit("5"))),
        ("DSL_ASSIGN_POINTS_NOT_NUMBER", pay(lit(True))),
        ("DSL_ASSIGN_POINTS_NOT_NUMBER", pay(lit(None))),
        ("DSL_FIELD_NOT_PRECOMPUTED", when(field("user.secret"))),
        ("DSL_UNKNOWN_STATEMENT", {"rules": [{"when": lit(1), "then": [{"type": "rm_rf"}]}]}),
        ("DSL_UNEXPECTED", {"rules": [{"when": lit(1), "then": [7]}]}),
        ("DSL_UNEXPECTED", {"rules": [{"when": lit(1), "then": [{"type": "assign_points", "value": lit(1)}]}]}),
        ("DSL_UNEXPECTED", {"rules": [], "default": [{"type": "return"}]}),
        ("DSL_UNEXPECTED", when({"type": "literal"})),
        ("DSL_COMPARE_OP_NOT_ALLOWED", when(binary("compare", 1, "is", 1))),
        ("DSL_ARITH_OP_NOT_ALLOWED", pay(binary("arith", 2, "**", 9))),
        ("DSL_FUNC_NAME_NOT_ALLOWED", pay({"type": "func_call", "name": "eval", "args": [lit("1")]})),
        ("DSL_FUNC_ARITY_MISMATCH", pay({"type": "func_call", "name": "clamp", "args": [lit(1)]})),
        ("DslExecutionError", pay({"type": "func_call", "name": "int", "args": [lit("seven")]})),
        ("DslExecutionError", pay({"type": "func_call", "name": "int", "args": [lit(None)]})),
        ("DslValidationError", pay({"type": "lambda"})),
        ("DslValidationError", when({"type": "lambda"})),
        ("DslValidationError", pay(binary("compare", 1, "<", 2))),
        ("DslValidationError", when({**binary("compare", 1, "<", 2), "left": {"type": "not", "arg": lit(1)}})),
        ("DSL_UNEXPECTED", pay(binary("arith", 10**400, "/", 3))),
        ("DSL_UNEXPECTED", pay({"type": "func_call", "name": "int", "args": [lit(float("inf"))]})),
        ("DSL_UNEXPECTED", pay(binary("arith", "ab", "*", 10**12))),
        ("DSL_UNEXPECTED", {"rules": [{"then": []}]}),
        ("DSL_UNEXPECTED", {"rules": "all of them"}),
    ],
)
def test_each_failure_has_the_code_of_the_log_and_no_points(code: str, program: Json) -> None:
    outcome = both(program)
    assert (outcome.status, outcome.error_code) == ("error", code)
    assert outcome.points is None
    assert outcome.error_detail


def test_entries_up_to_a_failure_are_kept() -> None:
    outcome = both(
        pay({"type": "arith", "op": "/", "left": field("data.a", id="f"), "right": lit(0, id="z")}), {"data.a": 4}
    )
    assert entries(outcome) == [
        (None, "literal", True),
        ("r", "rule", True, "match"),
        ("f", "field", 4),
        ("z", "literal", 0),
    ]


def test_the_node_cap_counts_visits_so_it_is_hit_before_that_many_entries() -> None:
    program = when({"type": "or", "args": [lit(0)] * 10})
    assert both(program, max_nodes=23).status == "ok"  # program, rule, or, ten literals twice
    outcome = both(program, max_nodes=22)
    assert (outcome.status, outcome.error_code) == ("limit", "DSL_LIMIT_EXCEEDED")
    assert outcome.nodes == 9 < 22
    assert outcome.visits == 23


def test_the_depth_cap_holds_only_where_the_run_comes_by() -> None:
    deep = lit(True)
    for _ in range(40):
        deep = {"type": "not", "arg": deep}
    assert both(when(deep)).error_code == "DSL_LIMIT_EXCEEDED"
    assert both(when(deep)).status == "limit"
    assert both(when(deep), max_depth=60).status == "ok"
    assert both(when({"type": "and", "args": [lit(False), deep]})).status == "ok"


def test_nesting_beyond_pythons_own_stack_is_a_limit_too() -> None:
    deep = lit(True)
    for _ in range(20_000):
        deep = {"type": "not", "arg": deep}
    assert both(when(deep), max_depth=10**6).error_code == "DSL_LIMIT_EXCEEDED"
    assert len(walk(when(deep))) == 20_000 + 4
    assert generate_ids(when(deep))["rules"][0]["when"]["id"] == "r.not.0"


EXTEND = {
    "pre_rules": [
        {"when": field("data.cheat"), "then": [{"id": "v", "type": "veto", "case_name": "Cheat"}]},
        {"when": lit(True), "then": [{"type": "set_data", "key": "minutes", "value": lit(45)}]},
    ],
    "post_rules": [
        {
            "when": {"type": "compare", "op": ">", "left": field("parent.points"), "right": lit(3)},
            "then": [
                {
                    "type": "set_points",
                    "value": {"type": "arith", "op": "*", "left": field("parent.points"), "right": lit(2)},
                },
                {
                    "type": "set_case_name",
                    "value": {"type": "arith", "op": "+", "left": field("parent.case_name"), "right": lit("!")},
                },
            ],
        }
    ],
}


def test_the_parent_sees_changed_data_and_the_post_phase_changes_its_answer() -> None:
    seen: list[Json] = []

    def parent(data: Json) -> ParentResult:
        seen.append(data)
        return ParentResult(5, "Basic")

    program = compile_program(EXTEND)
    outcome = program.run_extend({"data.cheat": False}, parent, data={"minutes": 90})
    assert seen == [{"minutes": 45}]
    assert (outcome.points, outcome.case_name) == (10, "Basic!")
    assert [entry[1] for entry in entries(outcome)] == [
        *("field", "rule", "literal", "rule", "literal", "set_data"),
        *("field", "literal", "compare", "rule"),
        *("field", "literal", "arith", "set_points", "field", "literal", "arith", "set_case_name"),
    ]
    quick = program.run_extend({"data.cheat": False}, parent, data={"minutes": 90}, keep_trace=False)
    assert (quick.points, quick.nodes, quick.trace) == (10, 18, None)


def test_a_veto_ends_the_run_with_zero_points_and_the_parent_never_runs() -> None:
    def parent(_data: Json) -> ParentResult:
        raise AssertionError("the parent must not run")

    outcome = compile_program(EXTEND).run_extend({"data.cheat": True}, parent)
    assert (outcome.points, outcome.case_name, outcome.vetoed) == (0, "Cheat", True)
    assert entries(outcome)[-1] == ("v", "veto", "Cheat", "veto")


def test_a_program_with_neither_phase_passes_the_parents_answer_on_without_a_trace() -> None:
    outcome = compile_program({"rules": []}).run_extend({}, lambda _data: ParentResult(-1, "not assigned"))
    assert (outcome.points, outcome.case_name, outcome.trace, outcome.nodes) == (-1, "not assigned", None, 0)


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("set_points", "9", "DSL_SET_POINTS_NOT_NUMBER"),
        ("set_points", False, "DSL_SET_POINTS_NOT_NUMBER"),
        ("set_case_name", 9, "DSL_SET_CASE_NAME_NOT_STRING"),
        ("assign_points", None, "DSL_ASSIGN_POINTS_NOT_NUMBER"),
        ("rm_rf", 9, "DSL_UNKNOWN_STATEMENT"),
    ],
)
def test_the_post_phase_checks_types_and_statements(kind: str, value: Any, code: str) -> None:
    program = {"post_rules": [{"when": lit(True), "then": [{"type": kind, "value": lit(value)}]}]}
    assert both(program, phase="post", parent=ParentResult(1, "x")).error_code == code


def test_return_ends_the_program_with_what_it_has() -> None:
    program = {
        "rules": [
            {"when": lit(True), "then": [{"id": "h", "type": "return"}]},
            {"when": lit(True), "then": [assign(lit(5))]},
        ],
        "default": assign(lit(6)),
    }
    outcome = both(program)
    assert (outcome.points, outcome.case_name, outcome.halted) == (0, None, True)
    assert entries(outcome)[-1] == ("h", "return", None, "halt")


def test_the_callers_fields_and_data_are_never_changed() -> None:
    fields, data = {"data.cheat": False}, {"minutes": 90}
    compile_program(EXTEND).run_extend(fields, lambda _data: ParentResult(5, "x"), data=data)
    assert (fields, data) == ({"data.cheat": False}, {"minutes": 90})


def test_missing_ids_name_parent_type_and_index_so_phases_and_branches_share_them() -> None:
    ids = generate_ids(
        {
            "rules": [
                {"when": lit(True), "then": [assign(lit(1))], "else": [{"type": "return"}]},
                {"id": "mine", "when": {"type": "and", "args": [lit(1), field("a")]}, "then": []},
            ],
            "pre_rules": [{"when": lit(1), "then": [{"type": "set_data", "key": "k", "value": lit(1)}]}],
        }
    )
    assert [node.node_id for node in walk(ids)] == [
        "root.rule.0",
        "root.rule.0.literal.0",
        "root.rule.0.assign_points.0",
        "root.rule.0.assign_points.0.literal.0",
        "root.rule.0.return.0",
        "mine",
        "mine.and.0",
        "mine.and.0.literal.0",
        "mine.and.0.field.1",
        "root.rule.0",
        "root.rule.0.literal.0",
        "root.rule.0.set_data.0",
        "root.rule.0.set_data.0.literal.0",
    ]


def test_the_walk_tells_nodes_apart_by_position_and_says_where_they_hang() -> None:
    program = {
        "rules": [
            {
                "id": "r",
                "when": {"type": "compare", "op": "<", "left": field("user.avg_time"), "right": lit("1")},
                "then": [{"type": "assign_points", "value": lit(1), "case_name": "C"}],
                "else_if": [{"when": lit(True), "then": [{"type": "set_callback_data", "key": "k", "value": lit(2)}]}],
            }
        ],
        "default": {"type": "return"},
    }
    rows = [(n.position, n.parent_position, n.depth, n.section, n.slot, n.rule_index, n.type) for n in walk(program)]
    assert rows == [
        (0, None, 1, "rules", "rules[0]", 0, "rule"),
        (1, 0, 2, "rules", "when", 0, "compare"),
        (2, 1, 3, "rules", "left", 0, "field"),
        (3, 1, 3, "rules", "right", 0, "literal"),
        (4, 0, 2, "rules", "then[0]", 0, "assign_points"),
        (5, 4, 3, "rules", "value", 0, "literal"),
        (6, 0, 2, "rules", "else_if[0].when", 0, "literal"),
        (7, 0, 2, "rules", "else_if[0].then[0]", 0, "set_callback_data"),
        (8, 7, 3, "rules", "value", 0, "literal"),
        (9, None, 1, "default", "default", None, "return"),
    ]
    nodes = walk(program)
    assert (nodes[1].operator, nodes[2].path, nodes[3].literal, nodes[5].literal) == ("<", "user.avg_time", '"1"', "1")
    assert (nodes[4].case_name, nodes[7].key) == ("C", "k")


def test_only_analytics_fields_cost_a_query_and_each_but_once() -> None:
    program = when(
        {"type": "or", "args": [field(p) for p in ("user.avg_time", "data.x", "all.avg_time", "user.avg_time")]}
    )
    assert analytics_paths(program) == ("all.avg_time", "user.avg_time")


def test_compiling_the_same_program_twice_gives_the_same_object() -> None:
    program = when(lit(True))
    assert compile_program(program) is compile_program(program)
    assert compile_program(json.loads(json.dumps(program))) is not compile_program(program)


def test_the_public_names_are_sorted() -> None:
    constants = [name for name in public.__all__ if name.isupper()]
    classes = [name for name in public.__all__ if not name.isupper() and name[0].isupper()]
    functions = [name for name in public.__all__ if name.islower()]
    assert public.__all__ == [*sorted(constants), *sorted(classes), *sorted(functions)]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.text(max_size=3),
    st.just(10**320),
    st.just(-(10**320)),
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
EXPRESSIONS = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("literal"), "value": JSON}),
        st.fixed_dictionaries({"type": st.just("field"), "path": st.sampled_from(["a", "b", "missing"])}),
        JSON,
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {
                "type": st.just("arith"),
                "op": st.sampled_from(["+", "-", "*", "/", "min", "max", "?"]),
                "left": inner,
                "right": inner,
            }
        ),
        st.fixed_dictionaries(
            {"type": st.just("func_call"), "name": st.sampled_from(["int", "clamp", "x"]), "args": st.lists(inner)}
        ),
    ),
    max_leaves=8,
)
COMPARISONS = st.fixed_dictionaries(
    {
        "type": st.just("compare"),
        "op": st.sampled_from(["<", "==", "!=", "?"]),
        "left": EXPRESSIONS,
        "right": EXPRESSIONS,
    }
)
CONDITIONS = st.recursive(
    EXPRESSIONS | COMPARISONS,
    lambda inner: (
        st.fixed_dictionaries({"type": st.sampled_from(["and", "or"]), "args": st.lists(inner, max_size=4)})
        | st.fixed_dictionaries({"type": st.just("not"), "arg": inner})
    ),
    max_leaves=6,
)
STATEMENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["assign_points", "set_callback_data", "set_data", "set_points", "set_case_name", "veto", "return", "x"]
        ),
        "value": EXPRESSIONS | COMPARISONS,
        "key": st.sampled_from(["k", "l"]),
        "case_name": st.sampled_from(["A", None]),
    }
)
BLOCKS = st.lists(STATEMENTS | JSON, max_size=2) | JSON
RULES = st.fixed_dictionaries(
    {"when": CONDITIONS, "then": BLOCKS},
    optional={"else": BLOCKS, "else_if": st.lists(st.fixed_dictionaries({"when": CONDITIONS, "then": BLOCKS}) | JSON)},
)
RULE_LISTS = st.lists(RULES | JSON, max_size=3) | JSON
PROGRAMS = st.fixed_dictionaries(
    {},
    optional={"rules": RULE_LISTS, "pre_rules": RULE_LISTS, "post_rules": RULE_LISTS, "default": STATEMENTS | JSON},
)


@pytest.mark.more
@settings(max_examples=examples(75), deadline=None)
@given(
    program=PROGRAMS,
    fields=st.fixed_dictionaries({"a": JSON, "b": JSON}),
    phase=st.sampled_from(["full", "pre", "post"]),
    max_nodes=st.sampled_from([0, 3, 8, 1000]),
    max_depth=st.sampled_from([2, 4, 32]),
)
@example(program={"default": [None]}, fields={}, phase="full", max_nodes=8, max_depth=4)
def test_no_program_raises_and_the_path_without_a_trace_agrees(
    program: Json, fields: Json, phase: Any, max_nodes: int, max_depth: int
) -> None:
    outcome = both(program, fields, phase=phase, parent=ParentResult(1, "p"), max_nodes=max_nodes, max_depth=max_depth)
    assert outcome.status in ("ok", "error", "limit")
    assert (outcome.error_code is None) == outcome.ok
    most = size(program, extends=phase != "full")
    if (
        most.visits_max is not None
        and most.entries_max is not None
        and (phase == "full" or program.get(f"{phase}_rules"))
    ):
        assert outcome.visits <= most.visits_max
        assert outcome.nodes <= most.entries_max
        assert max_depth < most.depth or outcome.status != "limit" or outcome.visits > max_nodes  # type: ignore[operator]
    positions = [node.position for node in walk(program)]
    assert positions == list(range(len(positions)))
    generate_ids(program)
    compile_program(program).run_extend(fields, lambda _data: ParentResult(1, "p"))
