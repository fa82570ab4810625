"""Two versions of a program beside each other: what is said to have changed is what the author did."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings

from analytics.demo import dsl
from analytics.program import built_in, generate_ids, outline, walk, words
from analytics.program.compare import Comparison, compare
from tests.fewer import examples
from tests.program.test_program import JSON, PROGRAMS

Json = dict[str, Any]


def program(*rules: Json) -> Json:
    return generate_ids({"rules": list(rules)})


def rider(amount: int = 10, case: str = "Fast") -> Json:
    return dsl.rule(
        dsl.all_of(dsl.compare("user.avg_time", "<", dsl.field("all.avg_time")), dsl.compare("data.km", ">=", 1)),
        dsl.assign(amount, case),
    )


def newcomer() -> Json:
    return dsl.rule(dsl.compare("user.measurements_count", "<", 2), dsl.assign(dsl.arith("data.km", "*", 2), "New"))


def said(old: Json, new: Json) -> tuple[Comparison, list[str]]:
    before, after = outline(old), outline(new)
    found = compare(before, after)
    return found, [words.edit(edit, before, after) for edit in found.edits]


def test_one_amount_is_one_edit_though_an_inserted_rule_shifts_every_id() -> None:
    old, new = program(newcomer(), rider(10)), program(dsl.rule(dsl.field("data.on")), newcomer(), rider(15))
    found, lines = said(old, new)
    assert lines == ["new: rule 1 (2 nodes)", "rule 3 › assign 15 points, case Fast: literal 10 → 15"]
    nodes_old, nodes_new = walk(old), walk(new)
    assert all(nodes_old[a].type == nodes_new[b].type for a, b in found.pairs.items())
    assert len(found.pairs) == len(nodes_old)
    assert found.same_count == len(nodes_old) - 1
    assert words.edits(found, outline(new)) == (
        "1 rule added and 1 literal changed; 17 of the 20 nodes say the same in both programs."
    )


def test_ids_alone_are_no_change() -> None:
    old = program(newcomer(), rider())
    new = copy.deepcopy(old)
    for spot in outline(new).spots:
        spot.node["id"] = "renamed"  # type: ignore[index]
    found, lines = said(old, new)
    assert lines == []
    assert words.edits(found, outline(new)) == "The programs say the same; only ids or layout differ."


def test_rules_that_change_places_are_moved_not_rewritten() -> None:
    found, lines = said(program(newcomer(), rider()), program(rider(), newcomer()))
    assert [edit.kind for edit in found.edits] == ["moved"]
    assert lines[0].startswith("moved: rule ")
    assert found.same_count == len(found.pairs) == 18


@pytest.mark.parametrize(
    ("new", "line"),
    [
        (dsl.compare("user.avg_time", "<=", 30), "rule 1 › user.avg_time <= 30: operator \"<\" → \"<=\""),
        (dsl.compare("user.best", "<", 30), "rule 1 › user.best: field \"user.avg_time\" → \"user.best\""),
        (dsl.compare("user.avg_time", "<", dsl.field("all.avg_time")), "rule 1 › user.avg_time < all.avg_time: 30 → all.avg_time"),
        (dsl.negate(dsl.compare("user.avg_time", "<", 30)), "rule 1: user.avg_time < 30 → not user.avg_time < 30"),
    ],
)  # fmt: skip
def test_what_changed_in_a_condition_is_said_where_it_stands(new: Json, line: str) -> None:
    old = program(dsl.rule(dsl.compare("user.avg_time", "<", 30), dsl.assign(1, "A"), node_id="r"))
    changed = program(dsl.rule(new, dsl.assign(1, "A"), node_id="r"))
    assert said(old, changed)[1] == [line.replace("rule 1", "rule 1 r")]


def test_a_renamed_case_and_a_removed_statement_are_told() -> None:
    old = program(dsl.rule(dsl.field("data.on"), dsl.note("k", 1), dsl.assign(5, "A")))
    new = program(dsl.rule(dsl.field("data.on"), dsl.assign(5, "B")))
    assert said(old, new)[1] == [
        'rule 1 › assign 5 points, case B: case "A" → "B"',
        "gone: rule 1 › call back with k = 1 (2 nodes)",
    ]


def test_phases_and_the_default_are_compared_each_with_its_own() -> None:
    old = {"pre_rules": [newcomer()], "post_rules": [rider()], "default": dsl.assign(1, None)}
    new = {"pre_rules": [newcomer()], "post_rules": [rider(11)], "default": dsl.assign(2, None)}
    assert said(old, new)[1] == [
        "otherwise › assign 2 points, no case: literal 1 → 2",
        "after the built-in, rule 1 › assign 11 points, case Fast: literal 10 → 11",
    ]


def test_another_built_in_and_other_variables_are_no_matter_of_ids_or_layout() -> None:
    old = {"post_rules": [rider()], "parent_variables": {"variable_bonus_points": 10, "variable_gone": True}}
    new = {"post_rules": [rider()], "parent_variables": {"variable_bonus_points": 12, "variable_come": "x"}}
    wraps = built_in(old, "default"), built_in(new, "socio")
    found = compare(outline(old), outline(new), wraps)
    assert [words.edit(edit, outline(old), outline(new)) for edit in found.edits] == [
        "the built-in it wraps: default → socio",
        "variable_bonus_points: 10 → 12",
        'variable_come: the built-in\'s own → "x"',
        "variable_gone: true → the built-in's own",
    ]
    assert words.edits(found, outline(new)) == (
        "1 built-in changed, 1 variable of the built-in changed, 1 variable of the built-in added and "
        "1 variable of the built-in removed; 10 of the 10 nodes say the same in both programs."
    )
    assert words.diff(old, new, wraps)[:6] == [
        ("-", "the built-in default"),
        ("-", "  with variable_bonus_points = 10"),
        ("-", "  with variable_gone = true"),
        ("+", "the built-in socio"),
        ("+", "  with variable_bonus_points = 12"),
        ("+", '  with variable_come = "x"'),
    ]


@pytest.mark.parametrize("missing", [None, {}, "absent"])
def test_a_missing_map_of_variables_is_an_empty_one_and_numbers_are_compared_as_json(missing: Any) -> None:
    old: Json = {"post_rules": [rider()]} | ({} if missing == "absent" else {"parent_variables": missing})
    assert said(old, {"post_rules": [rider()], "parent_variables": {}})[1] == []
    ten, whole = ({"post_rules": [rider()], "parent_variables": {"variable_x": x}} for x in (10, 10.0))
    assert said(ten, whole)[1] == []
    yes = {"post_rules": [rider()], "parent_variables": {"variable_x": True}}
    one = {"post_rules": [rider()], "parent_variables": {"variable_x": 1}}
    assert said(yes, one)[1] == ["variable_x: true → 1"]


@pytest.mark.more
@settings(max_examples=examples(40), deadline=None)
@given(PROGRAMS | JSON, PROGRAMS | JSON)
def test_any_two_programs_can_be_compared(old: Any, new: Any) -> None:
    found, lines = said(old, new)
    assert len(set(found.pairs.values())) == len(found.pairs)
    assert all(0 <= b < len(outline(new).nodes) for b in found.pairs.values())
    assert all(isinstance(line, str) for line in lines)


@pytest.mark.more
@settings(max_examples=examples(40), deadline=None)
@given(PROGRAMS)
def test_a_program_is_the_same_as_itself(found: Any) -> None:
    same = compare(outline(found), outline(copy.deepcopy(found)))
    assert same.edits == []
    assert same.pairs == {position: position for position in range(len(outline(found).nodes))}
