"""A trace lined up with its program by position, and replayed on what it recorded.

The truth comes from a second run of the same program whose ids are its positions in the walk: the evaluator never looks at
ids, so that run's trace names the node behind every entry, whatever the ids of the first one say.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.program import Outcome, ParentResult, align, compile_program, evaluate, generate_ids, outline, replay
from analytics.program.outcome import as_written, same_json
from tests.fewer import examples
from tests.program.test_program import JSON, PROGRAMS, field, lit

Json = dict[str, Any]
FIELDS = st.fixed_dictionaries({"a": JSON, "b": JSON})


def through_the_log(trace: list[Json] | None) -> list[Json]:
    """Entries as the log gives them back: JSON text and back."""
    return [json.loads(json.dumps(entry)) for entry in trace or []]


def numbered(program: Json) -> Json:
    """The same program with each node's id being its position."""
    found = copy.deepcopy(program)
    for place, spot in enumerate(outline(found).spots):
        spot.node["id"] = place  # type: ignore[index]
    return found


def renamed(program: Json, ids: str) -> Json:
    """The same program with ids that repeat, are missing, or are generated."""
    if ids == "generated":
        return generate_ids(program)
    found = copy.deepcopy(program)
    for spot in outline(found).spots:
        spot.node.update({"id": {"repeated": "same", "null": None}[ids]})  # type: ignore[attr-defined]
    return found


def run(program: Json, fields: Json, *, extend: bool) -> Outcome:
    compiled = compile_program(program)
    return compiled.run_extend(fields, lambda _data: ParentResult(3, "built-in")) if extend else compiled.run(fields)


def paid(outcome: Outcome) -> float | None:
    """Points as the log holds them; a number beyond a double cannot be told apart from any other such."""
    return None if outcome.points is None else float(outcome.points)


def is_storable(outcome: Outcome) -> bool:
    """jsonb takes the trace, and a double the points."""
    try:
        json.dumps(outcome.trace, allow_nan=False)
        return outcome.points is None or abs(float(outcome.points)) < float("inf")
    except (ValueError, OverflowError):
        return False


@pytest.mark.more
@settings(max_examples=examples(60), deadline=None)
@given(PROGRAMS, FIELDS, st.sampled_from(["generated", "repeated", "null"]), st.booleans())
def test_every_entry_finds_its_node_wherever_ids_repeat_or_are_missing(
    program: Json, fields: Json, ids: str, extend: bool
) -> None:
    truth = run(numbered(program), fields, extend=extend)
    named = renamed(program, ids)
    outcome = run(named, fields, extend=extend)
    trace = through_the_log(outcome.trace)
    found = align(outline(named), trace, is_extend=extend, is_whole=outcome.ok)
    assert found.mismatch is None
    assert found.positions == [entry["nodeId"] for entry in truth.trace or []]


@pytest.mark.more
@settings(max_examples=examples(60), deadline=None)
@given(PROGRAMS, FIELDS, st.booleans())
def test_what_a_run_read_is_enough_to_reproduce_it(program: Json, fields: Json, extend: bool) -> None:
    outcome = run(program, fields, extend=extend)
    if not (outcome.ok and is_storable(outcome)) or (extend and not outcome.trace):
        return
    trace = through_the_log(outcome.trace)
    found = align(outline(program), trace, is_extend=extend)
    again = replay(
        compile_program(program),
        found,
        trace,
        is_extend=extend,
        points=paid(outcome),
        case_name=outcome.case_name,
        node_count=outcome.nodes,
    )
    assert again.verdict == "reproduced", again.says


@pytest.mark.more
@settings(max_examples=examples(40), deadline=None)
@given(PROGRAMS, FIELDS, st.integers(0, 30))
def test_a_cut_trace_is_lined_up_as_far_as_it_goes(program: Json, fields: Json, kept: int) -> None:
    outcome = evaluate(program, fields)
    whole = through_the_log(outcome.trace)
    cut = align(outline(program), whole[:kept], is_whole=False)
    assert cut.mismatch is None
    assert cut.positions == align(outline(program), whole, is_whole=outcome.ok).positions[:kept]


@pytest.mark.more
@settings(max_examples=examples(60), deadline=None)
@given(
    PROGRAMS | JSON,
    st.lists(
        JSON
        | st.fixed_dictionaries(
            {
                "nodeId": st.none(),
                "type": st.sampled_from(["rule", "literal", "field", "compare", "and", "assign_points"]),
                "value": JSON,
                "branch": st.sampled_from([None, "match", "skip", "short_circuit:0"]),
            }
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_no_trace_makes_it_raise(program: Any, trace: list[Any], extend: bool) -> None:
    found = align(outline(program), trace, is_extend=extend)
    assert len(found.positions) <= len(trace)
    assert found.fits == (found.end is not None)


LADDER = {
    "rules": [
        {"id": "r", "when": {"type": "compare", "id": "c", "op": "<", "left": field("x"), "right": lit(5)}, "then": []},
        {"id": "r", "when": lit(True), "then": [{"type": "assign_points", "value": field("y"), "case_name": "Paid"}]},
    ]
}


def ladder(x: Any, y: Any) -> list[Json]:
    return through_the_log(evaluate(LADDER, {"x": x, "y": y}).trace)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda trace: [*trace, trace[0]], "1 entries follow after the end"),
        (lambda trace: trace[:-1], "goes on after the last entry"),
        (lambda trace: [{**trace[0], "type": "literal"}, *trace[1:]], "entry 1: literal is recorded where"),
        (lambda trace: [trace[0], {**trace[1], "value": 6}, *trace[2:]], "entry 2: the literal there is another one"),
        (lambda trace: [{**entry, "nodeId": "shifted"} for entry in trace], "entry 1: field shifted is recorded"),
        (lambda trace: [*trace[:3], {**trace[3], "branch": "skip"}, *trace[4:]], "rule r skip is recorded"),
        (lambda _trace: ["no object"], "it is no object"),
    ],
)
def test_a_definition_that_is_not_the_one_that_ran_is_not_forced(change: Any, says: str) -> None:
    found = align(outline(LADDER), change(ladder(3, 7)))
    assert says in str(found.mismatch)
    assert found.end is None


def test_an_in_place_edit_of_a_literal_does_not_fit_the_old_traces() -> None:
    edited = copy.deepcopy(LADDER)
    edited["rules"][0]["when"]["right"]["value"] = 6  # type: ignore[index]
    assert "literal" in str(align(outline(edited), ladder(3, 7)).mismatch)


def test_a_tampered_value_is_found_by_the_replay() -> None:
    trace = ladder(3, 7)
    trace[2]["value"] = False  # 3 < 5 is recorded as false, yet the rule as matched
    found = align(outline(LADDER), trace)
    assert not found.fits
    trace = ladder(3, 7)
    trace[-1]["value"] = 8
    again = replay(
        compile_program(LADDER), align(outline(LADDER), trace), trace, is_extend=False, points=7, case_name="Paid"
    )
    assert again.verdict == "differs"
    assert "entry 8: 8 is recorded, the replay has 7" in again.says


@pytest.mark.parametrize(("points", "case"), [(8.0, "Paid"), (7.0, "Other"), (None, "Paid")])
def test_points_and_case_of_the_row_must_be_those_of_the_trace(points: float | None, case: str) -> None:
    trace = ladder(3, 7)
    found = align(outline(LADDER), trace)
    again = replay(compile_program(LADDER), found, trace, is_extend=False, points=points, case_name=case)
    assert again.verdict == "differs"
    assert "pays 7 for Paid" in again.says


def test_a_cut_run_is_completed_where_all_it_reads_was_recorded_before_the_cut() -> None:
    program = {"rules": [*LADDER["rules"][:1] * 3, {"when": lit(True), "then": [{**PAY_X}]}]}
    outcome = evaluate(program, {"x": 9})
    trace = through_the_log(outcome.trace)[:5]
    found = align(outline(program), trace, is_whole=False)
    again = replay(
        compile_program(program), found, trace, is_extend=False, points=9, case_name=None, node_count=outcome.nodes
    )
    assert (again.verdict, again.is_cut, again.entries) == ("reproduced", True, 5)
    assert len(again.trace or []) == outcome.nodes


PAY_X = {"type": "assign_points", "value": field("x"), "case_name": None}


def test_a_cut_run_that_reads_on_behind_the_cut_cannot_be_decided_unless_the_row_knows_the_field() -> None:
    program = {
        "rules": [
            {"when": lit(True), "then": [{"type": "set_callback_data", "key": "k", "value": lit(1)}]},
            {"when": field("externalGameId"), "then": [PAY_X]},
        ]
    }
    trace = through_the_log(evaluate(program, {"externalGameId": "g", "x": 2}).trace)[:3]
    found = align(outline(program), trace, is_whole=False)
    options: Json = {"is_extend": False, "points": 2.0, "case_name": None}
    blind = replay(compile_program(program), found, trace, **options)
    assert blind.verdict == "undecided"
    assert "'externalGameId' was not precomputed behind the cut" in blind.says
    assert "'x'" in replay(compile_program(program), found, trace, known={"externalGameId": "g"}, **options).says


def test_what_a_built_in_answered_is_not_guessed_where_it_was_read_behind_the_cut_only() -> None:
    more = {"type": "arith", "op": "+", "left": field("parent.points"), "right": lit(5)}
    program = {"post_rules": [{"when": lit(1), "then": [{"type": "set_points", "value": more}]}]}
    outcome = compile_program(program).run_extend({}, lambda _data: ParentResult(3, "built-in"))
    assert outcome.points == 8
    verdicts = {}
    for kept in (2, 3):
        trace = through_the_log(outcome.trace)[:kept]
        found = align(outline(program), trace, is_extend=True, is_whole=False)
        again = replay(
            compile_program(program),
            found,
            trace,
            is_extend=True,
            points=8.0,
            case_name="built-in",
            node_count=outcome.nodes,
        )
        verdicts[kept] = again.verdict
    assert verdicts == {2: "undecided", 3: "reproduced"}


def test_the_border_of_the_phases_is_found_though_both_generate_the_same_ids() -> None:
    block = {"when": field("a"), "then": [{"type": "set_data", "key": "k", "value": lit(1)}]}
    program = generate_ids({"pre_rules": [block], "post_rules": [{**block, "when": field("parent.points")}]})
    outcome = compile_program(program).run_extend({"a": True}, lambda _data: ParentResult(4, "built-in"))
    trace = through_the_log(outcome.trace)
    found = align(outline(program), trace, is_extend=True)
    sections = [outline(program).nodes[position].section for position in found.positions]
    assert sections == ["pre_rules"] * 4 + ["post_rules"] * 4
    assert len({entry["nodeId"] for entry in trace}) == 4
    assert found.reached_post
    assert (found.fields, found.post_fields) == ({"a": True}, {"parent.points": 4})


def test_a_float_that_jsonb_wrote_as_an_integer_is_tried_as_both() -> None:
    program = {"rules": [{"when": lit(True), "then": [{"type": "assign_points", "value": ADD_ONE, "case_name": None}]}]}
    outcome = evaluate(program, {"x": 1e22})
    trace = through_the_log(outcome.trace)
    for entry in trace:
        if isinstance(entry["value"], float):
            entry["value"] = int(f"{entry['value']:.0f}")
    found = align(outline(program), trace)
    again = replay(
        compile_program(program), found, trace, is_extend=False, points=float(outcome.points), case_name=None
    )
    assert again.verdict == "reproduced"


ADD_ONE = {"type": "arith", "op": "+", "left": field("x"), "right": lit(1)}


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (1, "1", False),
        (None, False, False),
        ([1, {"a": None}], [1.0, {"a": None}], True),
        ({"a": 1}, {"a": True}, False),
        (10**23, 1e23, True),
        (10**23 + 1, 10**23, False),
        (10**400, 1e308, False),
    ],
)
def test_values_are_compared_as_json(left: Any, right: Any, same: bool) -> None:
    assert same_json(left, right) is same
    assert same_json(right, left) is same


def test_only_what_a_float_would_have_been_written_as_is_taken_for_one() -> None:
    assert isinstance(as_written(10**22), float)
    assert as_written(10**22 + 1) == 10**22 + 1
    assert isinstance(as_written(10**22 + 1), int)
    assert isinstance(as_written(7), int)
    assert as_written(10**400) == 10**400
    assert as_written(True) is True
