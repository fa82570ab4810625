"""The receipt of one run: its words, its sums, and what it says about what is not known."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analytics
from analytics.cli import main
from analytics.errors import UnknownNameError, UsageError
from analytics.findings.receipt import wording as words
from analytics.findings.receipt.receipt import Receipt, receipt
from analytics.findings.replay.run_evidence import Definition, Evidence, joined, pieces
from analytics.program import Outcome, ParentResult, compile_program, outline
from analytics.reports.receipt.receipt import Explained, of_evidence
from tests.fewer import examples
from tests.program.test_program import JSON, PROGRAMS, field, lit

Json = dict[str, Any]
BUILT_IN = ParentResult(8, "Base")


def pay(value: Any, case: str | None = "Paid", **more: Any) -> Json:
    return {
        "type": "assign_points",
        "value": value if isinstance(value, dict) else lit(value),
        "case_name": case,
        **more,
    }


def compare(left: Json, op: str, right: Json, **more: Any) -> Json:
    return {"type": "compare", "op": op, "left": left, "right": right, **more}


def arith(left: Json, op: str, right: Json) -> Json:
    return {"type": "arith", "op": op, "left": left, "right": right}


def defined(program: Json, built_in: str = "default") -> Definition:
    compiled = compile_program(program)
    return Definition(program, compiled, outline(program), "Test strategy", built_in if compiled.extends else None)


def row(**columns: Any) -> Json:
    """A row of the log as the lake gives it."""
    return {
        "execution_id": "7c1e0000-0000-4000-8000-000000004d20",
        "created_at": datetime(2026, 7, 9, 8, 14, 7, tzinfo=UTC),
        "strategy_id": "s3",
        "strategy_version": 3,
        "strategy_type": "DSL_FULL",
        "realm_id": "acme",
        "external_game_id": "cup",
        "external_task_id": "leg",
        "external_user_id": "user-2041",
        "oauth_user_id": None,
        "status": "ok",
        "error_code": None,
        "points": None,
        "case_name": None,
        "duration_ms": 6.0,
        "nodes_executed": 0,
        "parent_strategy_id": None,
        "is_truncated": False,
        "trace": None,
        "trace_irregular": "null",
        **columns,
    }


def ran(program: Json, fields: Json, *, built_in: ParentResult | None = None) -> Outcome:
    compiled = compile_program(program)
    return compiled.run_extend(fields, lambda _data: built_in) if built_in else compiled.run(fields)


def logged(
    program: Json,
    fields: Json,
    *,
    built_in: ParentResult | None = None,
    kept: int | None = None,
    keeps_failed: bool = False,
    definition: Json | None = None,
    is_defined: bool = True,
    **columns: Any,
) -> Evidence:
    """What is known of a run of a program, as the log would show it; of its trace, the first ``kept`` entries."""
    outcome = ran(program, fields, built_in=built_in)
    trace = json.dumps((outcome.trace or [])[:kept]) if outcome.trace and (outcome.ok or keeps_failed) else "null"
    facts: Json = {
        "strategy_type": "DSL_EXTEND" if built_in else "DSL_FULL",
        "parent_strategy_id": "default" if built_in else None,
        "status": outcome.status,
        "error_code": outcome.error_code,
        "points": None if outcome.points is None else float(outcome.points),
        "case_name": outcome.case_name,
        "nodes_executed": outcome.nodes if outcome.ok else 0,
        "is_truncated": kept is not None and kept < outcome.nodes,
        "trace_irregular": trace,
        **columns,
    }
    stored = {"type": "program", "rules": [], **(definition or program)}
    return joined(row(**facts), defined(stored) if is_defined else None)


def told(found: Receipt) -> list[str]:
    """A receipt line by line: points, name, verdict; conditions and effects indented."""
    lines = []
    for step in found.steps:
        amount = "–" if step.points is None else f"{step.points:+g}" if step.is_change else f"{step.points:g}"
        mark = " (computed)" if step.is_computed else ""
        lines.append(f"{amount} {step.name}" + (f": {step.verdict}" if step.verdict else "") + mark)
        lines += ["  " + words.plain(line) for line in step.conditions]
        lines += ["  → " + words.plain(line) for line in step.effects]
    return lines


SPEED = {
    "rules": [
        {
            "type": "rule",
            "id": "new-rider",
            "when": compare(field("user.measurements_count"), "<", lit(2)),
            "then": [pay(1, "JoinedIn")],
        },
        {
            "type": "rule",
            "id": "bonus",
            "when": {
                "type": "and",
                "args": [
                    compare(field("user.avg_time"), "<", field("all.avg_time")),
                    compare(arith(field("data.km"), "*", lit(2)), ">=", lit(1)),
                ],
            },
            "then": [pay(15, "PerformanceBonus"), {"type": "return"}],
        },
        {"type": "rule", "id": "steady", "when": lit(True), "then": [pay(3, "Steady")]},
    ],
    "default": pay(0, "None"),
}
INPUTS = {"user.measurements_count": 14, "user.avg_time": 12.3, "all.avg_time": 40.1, "data.km": 6.2}


# ---- words of a path ---------------------------------------------------------------------------------------------------


def test_a_receipt_tells_rule_after_rule_what_was_compared_and_what_was_paid() -> None:
    found = receipt(logged(SPEED, INPUTS))
    assert told(found) == [
        "– Rule 1, new-rider: skipped",
        "  user.measurements_count 14 < 2 is false",
        "15 Rule 2, bonus: matched",
        "  user.avg_time 12.3 < all.avg_time 40.1 is true, and (data.km 6.2 * 2 = 12.4) >= 1 is true",
        "  → assigns 15 points, case PerformanceBonus",
        "  → 1 more statement not reached",
        "– Rule 3, steady: not reached, the run had ended",
        "– Otherwise, the default: not reached, the run had ended",
        "15 Points paid, case PerformanceBonus",
    ]
    assert found.replay == "Replay reproduced all 16 entries."
    assert found.notes == []
    assert [(step.first_entry, step.last_entry) for step in found.steps[:3]] == [(1, 4), (5, 16), (None, None)]


BRANCHES = {
    "rules": [
        {
            "id": "same",
            "when": {
                "type": "and",
                "id": "same",
                "args": [field("data.a", id="same"), field("data.b"), field("data.c")],
            },
            "then": [pay(1)],
            "else_if": [
                {"when": {"type": "not", "arg": compare(field("data.x"), ">", lit(3))}, "then": [pay(2)]},
                {
                    "when": field("data.list"),
                    "then": [{"type": "set_callback_data", "key": "k", "value": lit([1, "x"])}],
                },
            ],
            "else": [pay(4)],
        },
        {
            "id": "same",
            "when": {
                "type": "or",
                "args": [lit(0), {"type": "func_call", "name": "int", "args": [field("data.x")]}, lit(1)],
            },
            "then": [pay({"type": "func_call", "name": "clamp", "args": [field("data.x"), lit(0), lit(5)]}, None)],
        },
    ]
}


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        (
            {"data.a": True, "data.b": 0, "data.x": 9.5, "data.list": ["q"]},
            [
                "– Rule 1, same: else if 2 matched",
                "  data.a is true, and data.b 0 counts as false, the rest was not looked at",
                "  else if 1: not (data.x 9.5 > 3 is true) is false",
                '  else if 2: data.list ["q"] counts as true',
                '  → calls back with k = [1, "x"]',
                "  → the run goes on",
                "5 Rule 2, same: matched",
                "  0 counts as false, or int(data.x 9.5) = 9 counts as true, the rest was not looked at",
                "  → clamp(data.x 9.5, 0, 5) = 5 → assigns 5 points, no case",
                "5 Points paid",
            ],
        ),
        (
            {"data.a": False, "data.x": 1},
            [
                "2 Rule 1, same: else if 1 matched",
                "  data.a is false, the rest was not looked at",
                "  else if 1: not (data.x 1 > 3 is false) is true",
                "  → assigns 2 points, case Paid",
                "– Rule 2, same: not reached, the run had ended",
                "2 Points paid, case Paid",
            ],
        ),
        (
            {"data.a": 1, "data.b": 1, "data.c": None, "data.x": 4, "data.list": []},
            [
                "4 Rule 1, same: else",
                "  data.a 1 counts as true, and data.b 1 counts as true, and data.c null counts as false",
                "  else if 1: not (data.x 4 > 3 is true) is false",
                "  else if 2: data.list [] counts as false",
                "  → assigns 4 points, case Paid",
                "– Rule 2, same: not reached, the run had ended",
                "4 Points paid, case Paid",
            ],
        ),
    ],
)
def test_branches_short_circuits_and_bare_values_are_told_though_all_ids_are_the_same(
    fields: Json, lines: list[str]
) -> None:
    assert told(receipt(logged(BRANCHES, fields))) == lines


def test_where_no_rule_ends_the_run_the_default_or_its_absence_is_said() -> None:
    when = {"when": field("data.a"), "then": [{"type": "set_callback_data", "key": "k", "value": field("data.a")}]}
    bare, with_default = {"rules": [when]}, {"rules": [when], "default": pay(7, "Rest")}
    said = {name: told(receipt(logged(*run)))[-3:] for name, run in {
        "no rule": (bare, {"data.a": False}),
        "none paid": (bare, {"data.a": 2}),
        "default": (with_default, {"data.a": False}),
        "default after all": (with_default, {"data.a": 2}),
    }.items()}  # fmt: skip
    assert said["no rule"][1:] == ["– No rule matched: 0 points and no case", "0 Points paid"]
    assert said["none paid"][1:] == ["– No rule paid: 0 points and no case", "0 Points paid"]
    assert said["default"] == [
        "7 No rule matched: the default",
        "  → assigns 7 points, case Rest",
        "7 Points paid, case Rest",
    ]
    assert said["default after all"][0] == "7 No rule ended the run: the default"


def test_a_long_ladder_is_told_by_its_ends() -> None:
    ladder = {"type": "or", "args": [compare(field("data.n"), "==", lit(number)) for number in range(50)]}
    found = receipt(logged({"rules": [{"when": ladder, "then": [pay(1)]}]}, {"data.n": 49}))
    assert told(found)[1] == (
        "  data.n 49 == 0 is false, or data.n 49 == 1 is false, or data.n 49 == 2 is false, "
        "or 46 more that are false, or data.n 49 == 49 is true"
    )


def test_two_floats_that_look_the_same_are_shown_with_all_digits() -> None:
    program = {"rules": [{"when": compare(field("data.a"), "==", lit(0.3)), "then": [pay(1)]}]}
    assert told(receipt(logged(program, {"data.a": 0.1 + 0.2})))[1] == "  data.a 0.30000000000000004 == 0.3 is false"


# ---- a wrapped built-in ------------------------------------------------------------------------------------------------

WRAPPED = {
    "pre_rules": [
        {
            "id": "root.rule.0",
            "when": compare(field("data.friends"), ">", lit(10)),
            "then": [{"type": "veto", "case_name": "TooMany"}],
            "else": [{"type": "set_data", "key": "seen", "value": lit(True)}],
        },
    ],
    "post_rules": [
        {
            "id": "root.rule.0",
            "when": compare(field("data.friends"), ">=", lit(3)),
            "then": [
                {"type": "set_points", "value": arith(field("parent.points"), "+", lit(2))},
                {"type": "set_case_name", "value": lit("Friends")},
                {"type": "return"},
            ],
        },
        {"id": "root.rule.1", "when": lit(True), "then": [{"type": "set_points", "value": lit(1)}]},
    ],
}


def test_the_phases_around_a_built_in_and_its_answer_are_told_though_their_ids_are_the_same() -> None:
    found = receipt(logged(WRAPPED, {"data.friends": 4}, built_in=BUILT_IN))
    assert told(found) == [
        "– Before the built-in, rule 1: else",
        "  data.friends 4 > 10 is false",
        "  → sets data.seen to true",
        "8 The built-in default ran",
        "  answer 8 points (as read by the rules after it), case not recorded",
        "+2 After the built-in, rule 1: matched",
        "  data.friends 4 >= 3 is true",
        "  → parent.points 8 + 2 = 10 → sets the points to 10",
        "  → sets the case to Friends",
        "  → returns: this phase ends here",
        "– After the built-in, rule 2: not reached, this phase had ended",
        "10 Points paid, case Friends",
    ]
    assert found.fields == {"data.friends": 4, "parent.points": 8}
    assert "cannot run a program around a built-in" in found.simulation.verdict
    assert found.simulation.body is None


def test_the_built_in_is_told_with_the_variables_it_was_asked_with() -> None:
    asks = {"parent_variables": {"variable_bonus_points": 12, "variable_a": "x"}}
    found = receipt(logged({**WRAPPED, **asks}, {"data.friends": 4}, built_in=BUILT_IN))
    assert told(found)[3:7] == [
        "8 The built-in default ran",
        '  asked with variable_a = "x"',
        "  asked with variable_bonus_points = 12",
        "  answer 8 points (as read by the rules after it), case not recorded",
    ]
    bare = receipt(logged(asks, {}, built_in=BUILT_IN))
    assert told(bare)[1:3] == ['  asked with variable_a = "x"', "  asked with variable_bonus_points = 12"]


def test_a_definition_that_wraps_another_built_in_than_the_run_asked_is_named() -> None:
    found = receipt(logged(WRAPPED, {"data.friends": 4}, built_in=BUILT_IN, parent_strategy_id="socio"))
    assert "The definition in the lake wraps default, this run asked socio." in found.notes
    same = receipt(logged(WRAPPED, {"data.friends": 4}, built_in=BUILT_IN))
    assert not any("wraps" in note for note in same.notes)


def test_what_the_rules_after_it_changed_without_reading_is_not_known_of_the_built_in() -> None:
    lines = told(receipt(logged(WRAPPED, {"data.friends": 2}, built_in=BUILT_IN)))
    assert lines[3:5] == ["– The built-in default ran", "  answer points not recorded, case Base (as paid)"]
    assert lines[-4:] == [
        "1 After the built-in, rule 2: matched",
        "  always true",
        "  → sets the points to 1",
        "1 Points paid, case Base",
    ]


def test_a_veto_keeps_the_built_in_from_running() -> None:
    assert told(receipt(logged(WRAPPED, {"data.friends": 11}, built_in=BUILT_IN))) == [
        "– Before the built-in, rule 1: matched",
        "  data.friends 11 > 10 is true",
        "  → vetoes: 0 points, case TooMany; the built-in does not run",
        "– The built-in default: not run: vetoed",
        "– After the built-in, rule 1: not reached, vetoed",
        "– After the built-in, rule 2: not reached, vetoed",
        "0 Points paid, case TooMany",
    ]


def test_a_built_in_without_rules_around_it_leaves_its_own_answer_and_a_refusal_is_said() -> None:
    refused = ParentResult(-1, "The user is not assigned to this task.")
    found = receipt(logged({"pre_rules": [], "post_rules": []}, {}, built_in=refused))
    assert told(found)[:2] == [
        "-1 The built-in default ran",
        "  answer -1 points, case The user is not assigned to this task. (as paid)",
    ]
    assert found.notes == [
        "No rule ran before or after the built-in: points and case are the built-in's own.",
        "The built-in refused the event: it answers -1 points and says “The user is not assigned to this task.”.",
    ]


# ---- what is not known -------------------------------------------------------------------------------------------------


def test_a_cut_trace_is_completed_by_the_replay_where_it_holds_all_that_is_read() -> None:
    found = receipt(logged(SPEED, {**INPUTS, "user.avg_time": 50}, kept=7))
    assert told(found) == [
        "– Rule 1, new-rider: skipped",
        "  user.measurements_count 14 < 2 is false",
        "– Rule 2, bonus: skipped (computed)",
        "  user.avg_time 50 < all.avg_time 40.1 is false, the rest was not looked at",
        "3 Rule 3, steady: matched (computed)",
        "  always true",
        "  → assigns 3 points, case Steady",
        "– Otherwise, the default: not reached, the run had ended",
        "3 Points paid, case Steady",
    ]
    assert found.notes == [
        "The stored trace ends after entry 7 of 13.",
        "What follows entry 7 is not in the log: the replay computed it.",
    ]
    assert found.replay == "Replay reproduced all 7 stored entries and computed the 6 behind the cut."


def test_a_cut_trace_that_cannot_be_completed_ends_where_knowledge_ends() -> None:
    found = receipt(logged(SPEED, INPUTS, kept=7))
    assert told(found) == [
        "– Rule 1, new-rider: skipped",
        "  user.measurements_count 14 < 2 is false",
        "– Rule 2, bonus: the stored trace ends here",
        "  user.avg_time 12.3 < all.avg_time 40.1 is true, and …",
        "– Rule 3, steady: not known, behind the cut",
        "– Otherwise, the default: not known, behind the cut",
        "15 Points paid, case PerformanceBonus",
    ]
    assert found.replay == "Replay cannot be decided: field 'data.km' is read behind the cut only."
    assert found.simulation.is_reproduced is None
    assert found.simulation.notes == ["Not in it, because the stored trace does not hold them: data.km."]


def test_of_a_cut_trace_of_a_wrapped_built_in_nothing_is_said_behind_the_cut() -> None:
    lines = told(receipt(logged(WRAPPED, {"data.friends": 4}, built_in=BUILT_IN, kept=2)))
    assert lines == [
        "– Before the built-in, rule 1: the stored trace ends here",
        "  data.friends 4 > 10",
        "– The built-in default: not known, behind the cut",
        "– After the built-in, rule 1: not known, behind the cut",
        "– After the built-in, rule 2: not known, behind the cut",
        "10 Points paid, case Friends",
    ]


CALL_BACK = {"type": "set_callback_data", "key": "k", "value": lit(1)}
DIVIDING = {
    "rules": [
        {"id": "a", "when": compare(field("data.x"), ">", lit(1)), "then": [CALL_BACK]},
        {"id": "b", "when": compare(arith(lit(100), "/", field("data.n")), ">", lit(1)), "then": [pay(1)]},
        {"id": "c", "when": lit(True), "then": [pay(2)]},
    ]
}


def test_a_failed_run_that_kept_its_trace_is_told_up_to_the_node_it_failed_at() -> None:
    found = receipt(logged(DIVIDING, {"data.x": 2, "data.n": 0}, keeps_failed=True))
    assert told(found) == [
        "– Rule 1, a: matched",
        "  data.x 2 > 1 is true",
        "  → calls back with k = 1",
        "  → the run goes on",
        "– Rule 2, b: stopped here",
        "  (100 / data.n 0 = …) > …",
        "  → the next node would be 100 / data.n 0",
        "– Rule 3, c: not reached, the run had failed",
        "– Stopped: a division by zero (DSL_ARITH_DIV_BY_ZERO)",
    ]
    assert found.simulation.verdict == (
        "Our own replay of the simulate request fails with DSL_ARITH_DIV_BY_ZERO, as logged."
    )


@pytest.mark.parametrize(
    ("columns", "last", "notes"),
    [
        (
            {"status": "timeout", "error_code": "DSL_TIMEOUT", "duration_ms": 837.1},
            "– Stopped: it ran longer than the time limit (DSL_TIMEOUT)",
            [
                "A failed run keeps no trace, so no rule can be named.",
                "Known are: it ran at least 837.1 ms, game cup, task leg.",
            ],
        ),
        (
            {"status": "error", "error_code": "DslExecutionError", "external_game_id": None},
            "– Stopped: a function with a value that it cannot take (DslExecutionError)",
            ["A failed run keeps no trace, so no rule can be named.", "Known are: it ran 6 ms, task leg."],
        ),
        (
            {"status": "cancelled?", "error_code": None, "points": 3.0},
            "– Stopped: status cancelled?, no code",
            [
                "The status “cancelled?” is unknown; it is taken for a failure.",
                "A failed run keeps no trace, so no rule can be named.",
                "Known are: it ran 6 ms, game cup, task leg.",
                "The row holds 3 points, though the run failed.",
            ],
        ),
        (
            {},
            "– No points are logged",
            ["The call was cancelled: such runs are logged as ok, without points and without a trace."],
        ),
        (
            {"points": math.nan, "trace_irregular": '"no list"'},
            "nan Points paid",
            [
                "The points are NaN: no number that could be added to anything.",
                "This run has no trace that can be read, so no rule can be named.",
            ],
        ),
    ],
)
def test_rows_without_a_trace_say_plainly_what_is_known(columns: Json, last: str, notes: list[str]) -> None:
    found = receipt(joined(row(**columns), defined(SPEED)))
    assert told(found)[-1] == last
    assert found.notes == notes
    assert found.replay == ""
    assert found.simulation.body is None


def test_without_a_definition_the_path_is_told_from_the_trace_alone() -> None:
    found = receipt(logged(SPEED, {**INPUTS, "user.avg_time": 50}, is_defined=False))
    assert told(found) == [
        "– Rule 1, new-rider: skipped",
        "  a field 14 compared with 2 is false",
        "– Rule 2, bonus: skipped",
        "  a field 50 compared with a field 40.1 is false",
        "  and: false, the rest was not looked at",
        "3 Rule 3, steady: matched",
        "  true",
        "  → assigns 3 points",
        "3 Points paid, case Steady",
    ]
    assert found.notes == [
        "The definition is not in the lake: paths of fields, operators and rules not reached are unknown."
    ]
    assert found.simulation.verdict.startswith("Without the definition")


def test_a_definition_that_does_not_fit_is_said_and_not_forced() -> None:
    edited = json.loads(json.dumps(SPEED))
    edited["rules"][0]["when"]["right"]["value"] = 3
    found = receipt(logged(SPEED, INPUTS, definition=edited))
    assert told(found)[1] == "  a field 14 compared with 2 is false"
    assert found.notes == [
        "The definition in the lake is not the program that ran (at entry 2: the literal there is another one): "
        "told from the trace alone, so paths of fields and operators are unknown."
    ]
    assert (found.replay, found.verdict, found.fields) == ("", None, {})


def test_a_tampered_value_is_told_by_the_replay() -> None:
    evident = logged(SPEED, INPUTS, points=99.0)
    assert receipt(evident).replay == "Replay differs: the replay pays 15 for PerformanceBonus."


# ---- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (None, "null"),
        ("1", '"1"'),
        (12.300000000000001, "12.3"),
        (math.inf, "Infinity"),
        (int("12345678901234567890" * 15), "12345678901234567890… (300 digits)"),
        (10**5000, "an integer of about 5,001 digits"),
        ("x" * 5000, f'"{"x" * 40}…" (5,000 characters)'),
        (list(range(1000)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1… (1,000 items)"),
        ([10**5000], "a value that cannot be written"),
    ],
    ids=range(10),  # pytest cannot write the longest integer either
)
def test_long_values_are_shortened_and_say_how_long_they_are(value: Any, shown: str) -> None:
    assert words.value(value) == shown


# ---- the request -------------------------------------------------------------------------------------------------------


def test_the_request_holds_what_the_run_read_and_is_tried_before_it_is_shown() -> None:
    found = receipt(logged(SPEED, {**INPUTS, "user.avg_time": 50})).simulation
    assert found.path == "/v1/strategies/custom/s3/simulate"
    assert found.body == {
        "externalGameId": "cup",
        "externalTaskId": "leg",
        "externalUserId": "user-2041",
        "data": {},
        "mockState": {"user.measurements_count": 14, "user.avg_time": 50, "all.avg_time": 40.1},
    }
    assert found.is_reproduced
    assert found.verdict == "Our own replay of the simulate request gives 3 points, case Steady, as logged."
    assert found.notes == ["Not in it, because this run did not read them: data.km."]


def test_a_request_that_does_not_come_out_right_says_so() -> None:
    found = receipt(logged(SPEED, INPUTS, case_name="Other")).simulation
    assert found.is_reproduced is False
    assert found.verdict == (
        "Our own replay of the simulate request gives 15 points, case PerformanceBonus: the log says otherwise."
    )


def test_a_float_that_the_log_wrote_as_an_integer_is_put_back_into_the_request() -> None:
    program = {"rules": [{"when": lit(True), "then": [pay(arith(field("data.x"), "+", lit(1)))]}]}
    outcome = ran(program, {"data.x": 1e22})
    trace = json.dumps(outcome.trace).replace("1e+22", "10000000000000000000000")
    assert "1e" not in trace
    facts = {"points": 1e22, "case_name": "Paid", "nodes_executed": outcome.nodes, "trace_irregular": trace}
    found = receipt(joined(row(**facts), defined(program))).simulation
    assert found.is_reproduced
    assert isinstance((found.body or {})["data"]["x"], float)


# ---- another version ---------------------------------------------------------------------------------------------------


def versus(other: Json, evident: Evidence) -> str:
    return receipt(evident, other=defined(other), other_label="Version 2").versus.removeprefix(
        "Version 2 on the same inputs: "
    )


def test_another_version_is_run_on_the_same_inputs() -> None:
    ten = json.loads(json.dumps(SPEED).replace("15", "10"))
    reads_more = {"rules": [{"when": field("data.x"), "then": [pay(1)]}]}
    fails = {"rules": [{"when": lit(True), "then": [pay(arith(field("data.km"), "/", lit(0)))]}]}
    evident = logged(SPEED, INPUTS)
    assert versus(ten, evident) == "10 points, same case."
    assert versus({"rules": []}, evident) == "0 points, no case."
    assert versus({"rules": [{"when": lit(1), "then": [pay(1, "One")]}]}, evident) == "1 point, case One."
    assert versus(reads_more, evident) == (
        "cannot be decided, for it reads data.x, which this run did not: between 0 and 1 point."
    )
    assert versus(fails, evident) == "it fails with DSL_ARITH_DIV_BY_ZERO."
    assert versus(ten, joined(row(), defined(SPEED))).startswith("cannot be decided, for it is not known")


def test_another_version_around_a_built_in_needs_its_answer_and_the_same_data() -> None:
    def changed(old: str, new: str) -> Json:
        found: Json = json.loads(json.dumps(WRAPPED).replace(old, new))
        return found

    evident = logged(WRAPPED, {"data.friends": 2}, built_in=BUILT_IN)
    assert versus(WRAPPED, evident) == "1 point, same case."  # a rule sets the points, whatever the built-in answered
    silent = changed('"when": {"type": "literal", "value": true}', '"when": {"type": "literal", "value": 0}')
    assert versus(silent, evident) == "cannot be decided, for the built-in's answer is not recorded."
    read = logged({"post_rules": [{"when": field("parent.points"), "then": []}]}, {}, built_in=BUILT_IN)
    doubled = {"post_rules": [{"when": lit(True), "then": [{"type": "set_points", "value": lit(16)}]}]}
    assert versus(doubled, read) == "16 points, same case."
    assert versus(changed("true", "false"), logged(WRAPPED, {"data.friends": 4}, built_in=BUILT_IN)) == (
        "cannot be decided, for the built-in would be asked with other data."
    )


def test_another_built_in_or_other_variables_would_have_answered_otherwise() -> None:
    """Same rules, other answer: what the run's built-in said is no input of the event but an output of the version."""
    asks = {"post_rules": [{"when": field("parent.points"), "then": [{"type": "set_case_name", "value": lit("Mine")}]}]}
    evident = logged(asks, {}, built_in=BUILT_IN)
    assert versus(json.loads(json.dumps(asks)), evident) == "8 points, same case."
    assert versus({**asks, "parent_variables": {}}, evident) == "8 points, same case."
    assert versus({**asks, "parent_variables": {"variable_bonus_points": 12}}, evident) == (
        "cannot be decided, for the built-in would be asked with other variables."
    )
    told = receipt(evident, other=defined(asks, "socio"), other_label="v2").versus
    assert told == "v2 on the same inputs: cannot be decided, for another built-in would be asked."


def test_a_version_of_the_other_kind_is_tried_as_what_it_is() -> None:
    evident = logged(SPEED, INPUTS)
    asks = {"post_rules": [{"when": lit(True), "then": [{"type": "set_case_name", "value": lit("Mine")}]}]}
    assert versus(asks, evident) == "cannot be decided, for the built-in did not run."
    vetoes = {"pre_rules": [{"when": compare(field("user.avg_time"), ">", lit(1)), "then": [VETO]}], **asks}
    assert versus(vetoes, evident) == "0 points, case Slow."
    # And the other way round: what was read around a built-in is what the event sent.
    around = logged({"post_rules": [{"when": field("data.km"), "then": []}]}, {"data.km": 4}, built_in=BUILT_IN)
    assert versus({"rules": [{"when": compare(field("data.km"), ">", lit(3)), "then": [pay(6, "Far")]}]}, around) == (
        "6 points, case Far."
    )


VETO = {"type": "veto", "case_name": "Slow"}


def test_the_case_that_a_version_has_set_itself_is_not_the_built_ins() -> None:
    sets = {
        "post_rules": [
            {"when": field("parent.points"), "then": [{"type": "set_case_name", "value": lit("Mine")}]},
        ]
    }
    evident = logged(sets, {}, built_in=BUILT_IN)
    plus = {"post_rules": [{"when": lit(True), "then": [{"type": "set_points", "value": lit(9)}]}]}
    assert versus(plus, evident) == "9 points; which case cannot be decided."


def test_the_post_phase_reads_the_data_as_its_own_pre_phase_left_them() -> None:
    def sets(k: int) -> Json:
        rich = {"type": "set_points", "value": lit(10)}
        poor = {"type": "set_points", "value": lit(1)}
        return {
            "pre_rules": [{"when": lit(True), "then": [{"type": "set_data", "key": "k", "value": lit(k)}]}],
            "post_rules": [{"when": compare(field("data.k"), ">=", lit(5)), "then": [rich], "else": [poor]}],
        }

    five, three = logged(sets(5), {"data.k": 0}, built_in=BUILT_IN), logged(sets(3), {"data.k": 0}, built_in=BUILT_IN)
    assert (five.run.points, three.run.points) == (10, 1)
    asked = "cannot be decided, for the built-in would be asked with other data"
    assert versus(sets(3), five) == f"{asked}: 1 point, or nothing if it fails on that."
    assert versus(sets(5), three) == f"{asked}: 10 points, or nothing if it fails on that."


# ---- forms -------------------------------------------------------------------------------------------------------------

HOSTILE = '<script>alert("1")</script>\u202e\x1b[2J'


@pytest.fixture
def hostile() -> Explained:
    program = {
        "rules": [
            {
                "id": HOSTILE,
                "when": compare(field(f"data.{HOSTILE}"), "==", lit(HOSTILE)),
                "then": [{"type": "set_callback_data", "key": HOSTILE, "value": lit(HOSTILE)}, pay(1, HOSTILE)],
            }
        ]
    }
    return of_evidence(logged(program, {f"data.{HOSTILE}": HOSTILE}, realm_id=HOSTILE, strategy_id=HOSTILE))


def test_authors_text_stays_text_in_every_form(hostile: Explained) -> None:
    shown, _ = hostile._repr_mimebundle_()
    for html in (shown["text/html"], hostile.document()):
        assert "<script" not in html
        assert "&lt;script&gt;" in html
        assert not {"\u202e", "\x1b"} & set(html)
    for text in (shown["text/plain"], str(hostile), repr(hostile)):
        assert not {"\u202e", "\x1b"} & set(text)
        assert "\\u202e" in text
    facts = json.loads(json.dumps(hostile.to_dict(), allow_nan=False))
    assert facts["fields"] == {f"data.{HOSTILE}": HOSTILE}  # values in full for programs


def test_the_text_is_as_wide_as_the_terminal() -> None:
    text = of_evidence(logged(SPEED, INPUTS), other=defined(SPEED), label="Version 2").text(60)
    above = text.partition("POST ")[0]
    assert max(map(len, above.splitlines())) <= 60
    assert above.splitlines()[0] == "Why did this run get 15 points?"
    assert "      15  Rule 2, bonus: matched" in above.splitlines()
    assert "Version 2 on the same inputs: 15 points, same case." in above.splitlines()


def test_json_has_stable_names_and_no_number_that_json_has_not() -> None:
    facts = of_evidence(logged(SPEED, INPUTS)).to_dict()
    assert list(facts) == ["run", "steps", "fields", "replay", "versus", "simulate", "notes"]
    assert list(facts["simulate"]) == ["path", "body", "verdict", "is_reproduced", "notes"]
    assert facts["replay"] == {"verdict": "reproduced", "says": "Replay reproduced all 16 entries."}
    assert facts["steps"][1]["points"] == 15
    assert facts["run"]["created_at"] == "2026-07-09T08:14:07+00:00"
    odd = of_evidence(joined(row(points=math.nan), None)).to_dict()
    assert odd["run"]["points"] is None
    json.dumps(odd, allow_nan=False)


def test_the_user_is_masked_wherever_a_rule_has_read_the_id() -> None:
    program = {
        "rules": [
            {
                "when": compare(arith(lit("user:"), "+", field("externalUserId")), "!=", lit("")),
                "then": [{"type": "set_callback_data", "key": "who", "value": field("externalUserId")}, pay(1)],
            }
        ]
    }
    evident = logged(program, {"externalUserId": "user-2041"})
    masked, shown = of_evidence(evident), of_evidence(evident, show_users=True)
    assert shown.to_dict()["simulate"]["body"]["externalUserId"] == "user-2041"
    assert "user-2041" in shown.text()
    for text in (masked.text(), masked.document(), json.dumps(masked.to_dict())):
        assert "user-2041" not in text
    assert 'externalUserId "••••41"' in masked.text()
    assert "the engine needs the real one" in masked.text()
    assert "the engine needs the real one" not in shown.text()


# ---- whatever comes ----------------------------------------------------------------------------------------------------

ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "nodeId": JSON,
        "type": st.sampled_from(["rule", "literal", "field", "compare", "and", "not", "assign_points", "veto", "return"]) | JSON,
        "value": JSON,
        "branch": st.sampled_from(["match", "skip", "else", "elseif:0", "elseif:²", "short_circuit:0"]) | JSON,
    },
)  # fmt: skip


@pytest.mark.more
@settings(max_examples=examples(40), deadline=None)
@given(
    PROGRAMS | st.dictionaries(st.text(max_size=3), JSON, max_size=2),
    st.none() | st.lists(JSON | ENTRY, max_size=8),
    st.sampled_from(["ok", "error", "timeout", "?"]),
    st.none() | st.floats(),
    st.booleans(),
    st.booleans(),
)
def test_no_trace_and_no_program_makes_it_raise(
    program: Json, trace: list[Any] | None, status: str, points: float | None, extend: bool, cut: bool
) -> None:
    kind = "DSL_EXTEND" if extend else "DSL_FULL"
    facts = {"strategy_type": kind, "status": status, "points": points, "is_truncated": cut, "nodes_executed": 9}
    for known in (defined(program), None):
        evident = joined(row(trace_irregular=json.dumps(trace), **facts), known)
        shown = of_evidence(evident, other=defined(program), label="Version 2")
        json.dumps(shown.to_dict(), allow_nan=False)
        assert shown.text(40)
        assert shown.document()


SMALL = st.integers(0, 9)
NUMBERS = st.recursive(
    SMALL.map(lit) | st.sampled_from([field("a"), field("b")]),
    lambda inner: st.builds(arith, inner, st.sampled_from("+-*"), inner),
    max_leaves=3,
)
CONDITIONS = st.recursive(
    st.builds(compare, NUMBERS, st.sampled_from(["<", ">=", "=="]), NUMBERS),
    lambda inner: st.builds(
        lambda kind, args: {"type": kind, "args": args}, st.sampled_from(["and", "or"]), st.lists(inner, max_size=3)
    ),
    max_leaves=4,
)


def sane_rules(*statements: st.SearchStrategy[Json]) -> st.SearchStrategy[list[Json]]:
    """Rules that do not fail, all with the same id."""
    block = st.lists(st.one_of(statements), max_size=2)
    branch = st.fixed_dictionaries({"when": CONDITIONS, "then": block})
    rule = st.fixed_dictionaries(
        {"id": st.just("same"), "when": CONDITIONS, "then": block},
        optional={"else_if": st.lists(branch, max_size=2), "else": block},
    )
    return st.lists(rule, min_size=1, max_size=4)


CALLS = st.just({"type": "set_callback_data", "key": "k", "value": field("a")})
RETURNS = st.just({"type": "return"})
SETS = st.builds(
    lambda value: {"type": "set_points", "value": value},
    NUMBERS | SMALL.map(lambda more: arith(field("parent.points"), "+", lit(more))),
)
SANE = st.fixed_dictionaries({"rules": sane_rules(CALLS, NUMBERS.map(pay))}, optional={"default": NUMBERS.map(pay)})
SANE_AROUND = st.fixed_dictionaries(
    {"post_rules": sane_rules(SETS, RETURNS)},
    optional={"pre_rules": sane_rules(CALLS, RETURNS, st.just({"type": "veto", "case_name": "No"}))},
)


@pytest.mark.more
@settings(max_examples=examples(60), deadline=None)
@given(SANE | SANE_AROUND, SMALL, SMALL, st.none() | st.integers(0, 20))
def test_the_points_of_the_steps_add_up_to_what_was_paid(program: Json, a: int, b: int, kept: int | None) -> None:
    built_in = None if "rules" in program else ParentResult(3, "built-in")
    found = receipt(logged(program, {"a": a, "b": b}, built_in=built_in, kept=kept))
    paid = ran(program, {"a": a, "b": b}, built_in=built_in).points
    assert found.steps[-1].points == paid
    assert found.verdict in (("reproduced",) if kept is None else ("reproduced", "undecided"))
    if found.verdict == "reproduced":
        assert sum(step.points for step in found.steps[:-1] if step.points is not None) == paid


# ---- on the demo's lake ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(lake):
    return analytics.open_lake(lake.root)


@pytest.fixture
def run(capsys):
    def call(*given):
        code = main([str(word) for word in given])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(scope="module")
def bonus(opened):
    [(execution,)] = opened.sql(
        "select execution_id from executions where case_name = 'PerformanceBonus' and strategy_version = 3 "
        "order by created_at limit 1"
    ).fetchall()
    return execution


def test_a_run_of_the_demo_is_explained_by_the_values_in_its_trace(opened, bonus) -> None:
    [(average,)] = opened.sql(
        "select value_number from nodes where execution_id = $id "
        "and node_id = 'performance-bonus.and.0.compare.0.field.0'",
        id=bonus,
    ).fetchall()
    found = opened.explain(bonus, versus=2)
    step = found.found.steps[1]
    assert (step.name, step.state, step.points) == ("Rule 2, performance-bonus", "matched", 15)
    assert words.plain(step.conditions[0]).startswith(f"user.avg_time {average:.10g} < all.avg_time ")
    assert found.found.versus == "Version 2 on the same inputs: 10 points, same case."  # what was planted
    assert found.found.simulation.is_reproduced
    assert found.family == "Speed bonus"


def test_every_kind_of_row_of_the_demo_has_a_receipt(opened) -> None:
    ids = opened.sql(
        "select min(execution_id) from executions group by realm_id, strategy_id, status, case_name, trace is null"
    ).fetchall()
    found = pieces(opened, [execution for (execution,) in ids])
    assert len(found) == len(ids)
    for each in found:
        shown = of_evidence(each)
        assert shown.text()
        json.dumps(shown.to_dict(), allow_nan=False)


def test_the_first_letters_are_enough_where_one_run_has_them(opened, bonus) -> None:
    ids = [row[0] for row in opened.sql("select execution_id from executions order by 1").fetchall()]
    heads = [name[:4] for name in ids]
    doubled = next(head for head in heads if heads.count(head) > 1)
    with pytest.raises(UsageError, match="have an id that begins with") as caught:
        opened.explain(doubled)
    assert caught.value.candidates == sorted(
        (name for name in ids if name.startswith(doubled)), key=caught.value.candidates.index
    )
    assert opened.explain(bonus[:13].upper()).found.run.execution_id == bonus
    with pytest.raises(UsageError, match="too short"):
        opened.explain(bonus[:3])
    with pytest.raises(UnknownNameError, match="in this window"):
        opened.explain(bonus, until="2026-07-01")
    with pytest.raises(UnknownNameError, match="no program of version 77"):
        opened.explain(bonus, versus=77)


def test_the_command_shows_writes_and_refuses(run, lake, bonus, tmp_path) -> None:
    place = ["--lake", lake.root]
    code, out, err = run("explain", bonus, *place, "--versus", "2", "--realm", "acme-cycling")
    assert (code, err) == (0, "")
    assert out.startswith("Why did this run get 15 points?\n")
    assert "Version 2 on the same inputs: 10 points, same case." in out
    code, out, _ = run("explain", bonus, *place, "--json", "--show-users", "--since", "2026-07-01")
    assert json.loads(out)["run"]["execution_id"] == bonus
    code, out, _ = run("explain", bonus, *place, "--html", tmp_path / "run.html")
    assert out.strip() == str(tmp_path / "run.html")
    assert "Why did this run get 15 points?" in (tmp_path / "run.html").read_text(encoding="utf-8")
    code, out, err = run("explain", "ffffffff-0000", *place)
    assert (code, out) == (2, "")
    assert "only a sample of the ok runs is logged" in err
    assert run("explain", bonus, *place, "--realm", "tram-riders")[0] == 2


def test_the_library_explains_in_one_call(lake, bonus) -> None:
    found = analytics.explain(lake.root, bonus, realm="acme-cycling")
    assert "Replay reproduced all" in str(found)
    assert "<style data-sa>" in found._repr_mimebundle_()[0]["text/html"]
