"""Every place that the engine's validator would refuse, with its path and what to write; hostile input is bounded."""

from __future__ import annotations

import copy
import json
import math
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from analytics.demo import dsl
from analytics.program import Refusal, published_size, refusals
from analytics.program.faults import STATEMENTS
from analytics.program.outcome import ARITH, COMPARE
from analytics.program.refusals import MOST_LISTED, MOST_WALKED
from analytics.program.walk import ANALYTICS_PATHS
from tests.program.test_validator import COUNTED, KM, PAY, REFUSED, TRUE, Json, nested, on, program

PATIENCE = 10
"""Seconds that no hostile program may take, with much to spare: an endless walk is what is looked for."""
VALUES = {
    "assign_points": {"value": dsl.lit(1), "case_name": "A"},
    "set_callback_data": {"key": "why λ", "value": dsl.lit("x")},
    "return": {},
    "set_data": {"key": "km_2", "value": dsl.lit(2)},
    "veto": {"case_name": "No"},
    "set_points": {"value": dsl.arith("parent.points", "*", 2)},
    "set_case_name": {"value": dsl.lit("B")},
}


def within(section: str, *steps: Any, when: Any = TRUE) -> Json:
    """A program with these statements in a section."""
    if section == "default":
        return program(default=steps[0])
    rule = on(when, *steps)
    return program(rule) if section == "rules" else program(**{section: [rule]})


def reading(field: Any, section: str = "rules") -> Json:
    own = {"rules": "assign_points", "pre_rules": "veto", "post_rules": "set_points"}[section]
    return within(section, {"type": own, **VALUES[own]}, when=field)


def paying(value: Any) -> Json:
    return program(on(TRUE, dsl.assign(value, "A")))


def taken() -> list[Any]:
    """Everything that the language has, each at least once."""
    found: list[Any] = [row[1] for row in COUNTED]
    for kind, (sections, _) in STATEMENTS.items():
        step = {"type": kind, **VALUES[kind]}
        if kind == "set_points":
            found += [within("post_rules", step)]
        else:
            found += [within(section, step) for section in sections]
    found += [program(on(dsl.compare(KM, op, 1))) for op in COMPARE]
    found += [paying(dsl.arith(KM, op, 1)) for op in ARITH]
    found += [paying(dsl.call("int", KM)), paying(dsl.call("clamp", KM, 0, 9))]
    paths = {*ANALYTICS_PATHS, "externalGameId", "externalTaskId", "externalUserId", "data.km_2"}
    found += [reading(dsl.field(path), section) for path in paths for section in ("rules", "pre_rules", "post_rules")]
    found += [reading(dsl.field(path), "post_rules") for path in ("parent.points", "parent.case_name")]
    found += [paying(value) for value in (0, -1.5, 1e300, 10**400, -(10**4299), True, None, "λ 🚲", "")]
    found += [program(default=None, pre_rules=None, post_rules=None, parent_variables=None)]
    found += [program(parent_variables={"variable_a": value}) for value in (1, "x", True, None, 1.5)]
    found += [program(on(TRUE, dsl.assign(1, name))) for name in ("a" * 200, " ", "~")]
    found += [nested(32), program(on(TRUE, id={"any": ["thing"]}))]
    return found


@pytest.mark.parametrize("ast", taken(), ids=lambda ast: json.dumps(ast)[:60])
def test_what_the_validator_takes_has_no_refusal(ast: Any) -> None:
    assert refusals(ast) == []
    assert published_size(ast).refusal == ""


@pytest.mark.parametrize(("ast", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_the_first_refusal_is_the_one_that_the_published_size_tells(ast: Any, why: str) -> None:
    found = refusals(ast)
    assert found[0].reason == why
    assert all(one.path.startswith("$") and one.reason and one.repair for one in found)


# (what it is, the program, where it is refused, a word of its repair)
PLACES = [
    ("the root's type", {"type": "rule", "rules": []}, "$.type", '"program"'),
    ("no type at the root", {"rules": []}, "$", '"program"'),
    ("no rules", {"type": "program"}, "$", 'add "rules"'),
    ("rules that are an object", {"type": "program", "rules": {}}, "$.rules", "[] for none"),
    ("a tuple of rules", {"type": "program", "rules": ()}, "$.rules", "a list"),
    ("a set of rules before", program(pre_rules={1}), "$.pre_rules", "a list"),
    ("an unknown section", program(rulez=[]), "$.rulez", "did you mean 'rules'?"),
    ("a variable's name", program(parent_variables={"points": 1}), "$.parent_variables.points", "variable_"),
    ("a variable's number as name", program(parent_variables={1: 1}), "$.parent_variables[“1”]", "variable_"),
    ("a variable's value", program(parent_variables={"variable_a": [1]}), "$.parent_variables.variable_a", "a number"),
    ("a list of variables", program(parent_variables=[]), "$.parent_variables", "an object"),
    ("a rule without a type", program(on(TRUE), {"when": TRUE, "then": [PAY]}), "$.rules[1]", '"rule"'),
    ("no when", program({"type": "rule", "then": [PAY]}), "$.rules[0]", 'add "when"'),
    ("an empty then", program({"type": "rule", "when": TRUE, "then": []}), "$.rules[0].then", "one or more"),
    ("an empty else", program(on(TRUE, **{"else": []})), "$.rules[0].else", "leave else out"),
    ("an else_if that is an object", program(on(TRUE, else_if={})), "$.rules[0].else_if", "a list"),
    ("a branch without when", program(on(TRUE, else_if=[{"then": [PAY]}])), "$.rules[0].else_if[0]", 'add "when"'),
    ("a branch without then", program(on(TRUE, else_if=[{"when": TRUE}])), "$.rules[0].else_if[0]", "one or more"),
    ("a branch that is a text", program(on(TRUE, else_if=["x"])), "$.rules[0].else_if[0]", '"when"'),
    ("a condition in else_if", program(on(TRUE, else_if=[{"when": dsl.lit([]), "then": [PAY]}])),
     "$.rules[0].else_if[0].when.value", "a number, a text"),
    ("a misspelled statement", program(on(TRUE, {"type": "asign_points"})), "$.rules[0].then[0].type", "'assign_points'"),
    ("a misspelled operator", program(on(dsl.compare(KM, "=<", 1))), "$.rules[0].when.op", "< <= == != >= >"),
    ("an operator of its own", paying(dsl.arith(KM, "**", 2)), "$.rules[0].then[0].value.op", "+ - * / min max"),
    ("a misspelled function", paying(dsl.call("clam", 1, 2, 3)), "$.rules[0].then[0].value.name", "did you mean 'clamp'?"),
    ("int of none", paying(dsl.call("int")), "$.rules[0].then[0].value.args", "1 expression"),
    ("a misspelled field", program(on(dsl.field("user.avgtime"))), "$.rules[0].when.path", "'user.avg_time'"),
    ("a field of data with a dot", program(on(dsl.field("data.a.b"))), "$.rules[0].when.path", "data.<key>"),
    ("a key too many", program(on({**TRUE, "an odd key": 1})), '$.rules[0].when["an odd key"]', "leave it out"),
    ("no case", program(on(TRUE, {"type": "assign_points", "value": dsl.lit(1)})), "$.rules[0].then[0]", "ASCII"),
    ("a case of 201", program(on(TRUE, dsl.assign(1, "a" * 201))), "$.rules[0].then[0].case_name", "200"),
    ("no case name at all", program(on(TRUE, dsl.assign(1, None))), "$.rules[0].then[0].case_name", "200"),
    ("an empty key", program(on(TRUE, dsl.note("", 1))), "$.rules[0].then[0].key", "a text"),
    ("a dash in a key", program(pre_rules=[on(TRUE, dsl.effect("set_data", 1, "a-b"))]), "$.pre_rules[0].then[0].key", "digits"),
    ("the default's operand", program(default=dsl.assign(dsl.field("x"), "A")), "$.default.value.path", "data.<key>"),
    ("a list for a default", program(default=[PAY]), "$.default", "assign_points"),
    ("an argument", program(on(dsl.all_of(TRUE, dsl.any_of(KM, 3)))), "$.rules[0].when.args[1].args[1]", "a condition"),
    ("a missing side", program(on({"type": "compare", "op": "<", "left": KM})), "$.rules[0].when", 'add "right"'),
    ("a list as literal", paying(dsl.lit([1])), "$.rules[0].then[0].value.value", "a number, a text"),
    ("no number", paying(math.nan), "$.rules[0].then[0].value.value", "has an end"),
    ("no end", paying(-math.inf), "$.rules[0].then[0].value.value", "has an end"),
    ("too long a number", paying(10**4300), "$.rules[0].then[0].value.value", "smaller"),
    ("a NUL", paying("a\0b"), "$.rules[0].then[0].value.value", "without"),
    ("half a character", paying("\ud83d"), "$.rules[0].then[0].value.value", "without"),
    ("half a character as key", program(on(TRUE, dsl.note("\udc00", 1))), "$.rules[0].then[0].key", "without"),
    ("half a character as id", program(on(TRUE, id="\udc00")), "$.rules[0].id", "without"),
    ("33 deep", nested(33), "$.rules[0].when" + ".arg" * 31, "split"),
    ("1,006 nodes", program(*[on(TRUE)] * 201), "$", "fewer rules"),
]  # fmt: skip


@pytest.mark.parametrize(("ast", "path", "word"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
def test_a_refusal_names_its_place_and_what_to_write(ast: Any, path: str, word: str) -> None:
    found = refusals(ast)
    assert [one.path for one in found] == [path]
    assert word in found[0].repair
    assert published_size(ast).refusal == found[0].reason


@pytest.mark.parametrize("kind", STATEMENTS)
@pytest.mark.parametrize("section", ["rules", "default", "pre_rules", "post_rules"])
def test_a_statement_stands_only_where_it_may(kind: str, section: str) -> None:
    step = {"type": kind, **VALUES[kind]}
    found = [one.reason for one in refusals(within(section, step))]
    misplaced = f"{kind} stands in {section}, where it may not"
    assert (misplaced in found) is (section not in STATEMENTS[kind][0])


def test_every_place_is_told_in_the_order_of_a_reader() -> None:
    ast = program(
        on(dsl.compare("user.secret", "~", 1), dsl.assign(1, "")),
        on(TRUE, {"type": "jump"}, else_if=[3]),
        pre_rules=[on(dsl.field("parent.points"), PAY)],
        default={"type": "return", "extra": 1},
    )
    assert [one.path for one in refusals(ast)] == [
        "$.rules[0].when.op",
        "$.rules[0].when.left.path",
        "$.rules[0].then[0].case_name",
        "$.rules[1].then[0].type",
        "$.rules[1].else_if[0]",
        "$.pre_rules[0].when.path",
        "$.pre_rules[0].then[0]",
        "$.default.extra",
    ]


def test_whether_a_built_in_is_wrapped_decides_the_repair_and_never_the_verdict() -> None:
    ast = program(on(dsl.field("parent.points"), {"type": "set_points", "value": dsl.lit(1)}))
    extends, alone, both = (refusals(ast, wraps_builtin=wraps) for wraps in (True, False, None))
    assert [[(each.path, each.reason) for each in one] for one in (extends, alone)] == [
        [(each.path, each.reason) for each in both]
    ] * 2
    assert [one.repair for one in extends] == [
        "read it in post_rules, where the built-in has answered",
        "move it to post_rules",
    ]
    assert [one.repair for one in alone] == [
        "leave it out: without a built-in there is no answer to read",
        "use assign_points: a program that wraps no built-in runs no post_rules",
    ]
    assert "move it to post_rules; in a program that wraps no built-in, use assign_points" in [
        one.repair for one in both
    ]


def test_limits_are_those_that_are_given_at_and_beyond() -> None:
    assert refusals(program(on(TRUE)), max_nodes=6) == []
    assert [one.reason for one in refusals(program(on(TRUE)), max_nodes=5)] == ["it has 6 nodes, and 5 is the most"]
    assert refusals(nested(7), max_depth=7) == []
    assert [one.reason for one in refusals(nested(7), max_depth=6)] == ["it nests 7 deep, and 6 is the most"]
    assert refusals(nested(900), max_depth=math.inf, max_nodes=math.inf) == []


def test_below_a_node_that_nests_too_deep_nothing_more_is_listed() -> None:
    ast = copy.deepcopy(nested(40))
    node = ast["rules"][0]["when"]
    while "arg" in node:
        node = node["arg"]
    node["value"] = []
    assert [one.reason for one in refusals(ast)] == ["it nests 40 deep, and 32 is the most"]


def test_every_branch_that_nests_too_deep_is_a_place_the_deepest_first() -> None:
    ast = program(*nested(34)["rules"], *nested(32)["rules"], *nested(40)["rules"])
    assert [(one.path.count("arg"), one.path[:10], one.reason) for one in refusals(ast)] == [
        (31, "$.rules[2]", "it nests 40 deep, and 32 is the most"),
        (31, "$.rules[0]", "it nests 34 deep, and 32 is the most"),
    ]


def test_so_many_places_are_listed_and_the_others_counted() -> None:
    ast = program(*[{"type": "rule"}] * 60)  # each lacks a when and a then
    found = refusals(ast)
    assert len(found) == MOST_LISTED + 1
    assert found[-1] == Refusal("$", "70 more places are refused", "repair those above, and look again")
    assert refusals(program(*[3] * 51))[-1].reason == "1 more place is refused"


def test_an_authors_words_are_shortened_and_nothing_is_hidden_in_them() -> None:
    odd = "a\u202eb\n" + "x" * 1_000_000
    found = refusals(program(on(dsl.field(odd), {"type": odd}), **{odd: 1, "\u200b": 2}))
    assert len(found) == 3
    for one in found:
        text = one.path + one.reason + one.repair
        assert text.isprintable()
        assert len(text) < 800
    assert found[0].path.startswith("$[“a\\u202eb\\nxxx")
    assert refusals(program(**{"\u200b\n": 2}))[0].path == '$["\\u200b\\n"]'


# ---- mutants ---------------------------------------------------------------------------------------------------------

ODD: list[Any] = [
    None, True, 0, 1.5, "", "λ", "A\n", "data.x", "data.x y", "parent.points", "rule", "literal", "and", "compare", "arith",
    "func_call", "return", "veto", "set_points", "assign_points", "int", "min", "<=", [], {}, [1], dsl.lit(1), [dsl.halt()],
    {"variable_a": 1}, {"variable_a": []}, "x" * 201, (), {1}, object(), b"x", math.nan, 10**5000, "\ud800", 1j, range(3),
]  # fmt: skip
NAMES: list[Any] = [
    "type", "id", "rules", "pre_rules", "post_rules", "default", "parent_variables", "when", "then", "else_if", "else", "args",
    "arg", "op", "left", "right", "value", "path", "name", "case_name", "key", "zzz", 1, None, ("a",), "\ud800",
]  # fmt: skip


def holders(node: Any) -> list[Any]:
    below = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    return ([node] if isinstance(node, dict | list) else []) + [one for item in below for one in holders(item)]


def mutate(chance: random.Random, ast: Any) -> None:
    """One change: something is taken out, put in, or replaced by something odd or by another part of the program."""
    there = holders(ast)
    holder = chance.choice(there)
    other = chance.choice(there)
    new = copy.deepcopy(other if chance.random() < 0.2 and len(holders(other)) < 40 else chance.choice(ODD))
    if isinstance(holder, dict):
        key = chance.choice([*holder, chance.choice(NAMES)])
        if chance.random() < 0.3:
            holder.pop(key, None)
        else:
            holder[key] = new
    elif holder and chance.random() < 0.3:
        holder.pop(chance.randrange(len(holder)))
    else:
        holder.insert(chance.randint(0, len(holder)), new)


@pytest.mark.parametrize("seed", range(8))
def test_mutants_are_refused_by_both_or_by_none_and_nothing_raises(seed: int) -> None:
    chance = random.Random(seed)
    asts = [row[1] for row in COUNTED if len(repr(row[1])) < 20_000]
    taken_count = 0
    for _ in range(250):
        ast = copy.deepcopy(chance.choice(asts))
        for _ in range(chance.randint(1, 3)):
            mutate(chance, ast)
        found, counted = refusals(ast), published_size(ast)
        assert [one.reason for one in found[:1]] == [counted.refusal] * bool(counted.refusal)
        assert bool(found) is bool(counted.refusal)
        assert all(one.path.isprintable() and one.reason.isprintable() and one.repair.isprintable() for one in found)
        taken_count += not found
    assert 0 < taken_count < 250


# ---- hostile ---------------------------------------------------------------------------------------------------------


def deep(count: int) -> Json:
    node: Any = TRUE
    for _ in range(count):
        node = {"type": "not", "arg": node}
    return program(on(node))


def cyclic() -> Json:
    node: Json = {"type": "and", "args": []}
    node["args"] += [TRUE, node, {"type": "not", "arg": node}]
    return program(on(node))


def cyclic_list() -> Json:
    steps: list[Any] = [PAY]
    steps.append({"type": "rule", "then": steps})
    steps.append(steps)
    return program({"type": "rule", "when": TRUE, "then": steps})


def holding_itself() -> Json:
    ast = program()
    ast["rules"].append(ast)
    ast["default"] = ast
    ast["parent_variables"] = ast
    return ast


def unfolding() -> Json:
    node: Any = TRUE
    for _ in range(30):
        node = {"type": "and", "args": [node, node]}
    return program(on(node))


class Trap(dict[str, Any]):
    """An object that says no to whoever looks at it as a text."""

    def __repr__(self) -> str:
        raise AssertionError("written out")

    __str__ = __repr__


class Bomb:
    def __repr__(self) -> str:
        raise AssertionError("written out")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __call__(self) -> None:
        raise AssertionError("called")

    __hash__ = None  # type: ignore[assignment]


HOSTILE: list[tuple[str, Callable[[], Any], str]] = [
    ("deep", lambda: deep(50_000), "it nests 50,002 deep, and 32 is the most"),
    ("very deep", lambda: deep(1_000_000), "it nests at least 100,000 deep, and 32 is the most"),
    ("a million rules", lambda: program(*[on(TRUE)] * 1_000_000), "it has more than 100,000 nodes, and 1,000 is the most"),
    ("a million numbers", lambda: program(*[1] * 1_000_000), "a rule is no object"),
    ("a million keys", lambda: program(on({**TRUE, **dict.fromkeys(map(str, range(1_000_000)))})),
     "literal holds the unknown key “0”"),
    ("a million wrong names", lambda: program(on(dsl.any_of(*[dsl.field("user.avgtime")] * 1_000_000))),
     "it reads the unknown field “user.avgtime”"),
    ("a cycle", cyclic, "a condition holds itself"),
    ("a cycle of lists", cyclic_list, "it holds a statement of the unknown type “rule”"),
    ("a program in itself", holding_itself, "a parent variable is called “type”, and not variable_…"),
    ("shared objects that unfold", unfolding, "it has more than 100,000 nodes, and 1,000 is the most"),
    ("a type that explodes", lambda: program(on({"type": Bomb()})), "it holds a node of the unknown type “Bomb”"),
    ("an object that explodes", lambda: program(on({"type": Trap()})), "it holds a node of the unknown type “an object”"),
    ("a value that explodes", lambda: paying(dsl.lit(Bomb())), "a literal is no number, text, true, false or null"),  # type: ignore[arg-type]
    ("a key that is no text", lambda: program(on({**TRUE, (1, 2): 3})), "literal holds the unknown key “tuple”"),
    ("a type of 5,000 digits", lambda: program(on({"type": 10**5000})),
     "it holds a node of the unknown type “a whole number of many digits”"),
    ("a long text", lambda: program(on(dsl.field("data." + "x" * 10_000_000 + "!"))), ""),
    ("nothing", lambda: None, "it is no object"),
    ("an object of Python", Bomb, "it is no object"),
]  # fmt: skip


SMALL_HOSTILE = [(name, make) for name, make, _ in HOSTILE if "million" not in name and name != "very deep"]
"""Those that are made at once, for what asks `refusals` first."""


SAME_SIZE = ("very deep", "a million numbers", "a million keys", "a million wrong names")
"""Made for a second each: "deep" and "a million rules" go the same ways."""


@pytest.mark.parametrize(
    ("make", "why"),
    [pytest.param(*row[1:], id=row[0], marks=[pytest.mark.long] if row[0] in SAME_SIZE else []) for row in HOSTILE],
)
def test_hostile_programs_are_refused_in_bounded_time_and_memory(make: Callable[[], Any], why: str) -> None:
    ast = make()
    begun = time.thread_time()
    found = refusals(ast)
    size = published_size(ast)
    assert time.thread_time() - begun < PATIENCE
    assert size.refusal == found[0].reason
    assert size.refusal == why or not why
    assert size.nodes <= MOST_WALKED + 2
    assert len(found) <= MOST_LISTED + 1
    assert all(len(one.path) + len(one.reason) + len(one.repair) < 3000 for one in found)


def test_a_large_program_takes_no_memory_of_its_own() -> None:
    ast = program(*[on(TRUE)] * 100_000)
    tracemalloc.start()
    try:
        refusals(ast)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
