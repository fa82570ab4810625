"""What the engine counts: visits, entries and nesting of small programs, node type by node type.

The numbers were counted by the rules of the engine, on runs of its own interpreter with the same programs, and written down
here; the evaluator, the path that keeps no trace and the static size have to come to the same ones.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import pytest

from analytics.demo.dsl import (
    all_of,
    any_of,
    arith,
    branch,
    call,
    compare,
    effect,
    field,
    halt,
    lit,
    negate,
    note,
    rule,
)
from analytics.demo.dsl import assign as pays
from analytics.demo.dsl import veto as vetoes
from analytics.findings.runaway.finding import LimitHits, Recurrence, Status
from analytics.findings.runaway.keys import Key
from analytics.findings.runaway.thresholds import Thresholds
from analytics.findings.runaway.version_growth import RunsBelowCap
from analytics.program import Outcome, ParentResult, Program, size
from analytics.reports.page.inline import plain
from analytics.reports.runaway.finding_sentences import sentence

Json = dict[str, Any]
PAY = pays(1, "x")
YES, NO, LESS = lit(True), lit(False), compare("data.a", "<", 5)


class Counted(NamedTuple):
    """What a run left: visits and entries of all phases, the nesting of the deepest node it came by, and its result."""

    visits: int
    nodes: int
    depth: int
    code: str | None = None
    points: float | None = None
    case: str | None = None


PAID = {"points": 1.0, "case": "x"}
NOTHING = {"points": 0.0}


def one(when: Any, *then: Json, **more: Any) -> Json:
    return {"rules": [rule(when, *(then or (PAY,)), **more)]}


def around(before: list[Json], after: list[Json]) -> Json:
    return {"rules": [], **({"pre_rules": before} if before else {}), **({"post_rules": after} if after else {})}


POST = rule(YES, effect("set_points", 3))
TABLE: dict[str, tuple[Json, Counted]] = {
    "no rules": ({"rules": []}, Counted(1, 0, 0, **NOTHING)),
    "default": ({"rules": [], "default": PAY}, Counted(3, 2, 2, **PAID)),
    "literal": (one(YES), Counted(6, 4, 3, **PAID)),
    "field": (one(field("data.a")), Counted(6, 4, 3, **PAID)),
    "compare": (one(LESS), Counted(7, 6, 3, **PAID)),
    "not literal": (one(negate(NO)), Counted(7, 5, 3, **PAID)),
    "not compare": (one(negate(LESS)), Counted(6, 5, 4, **NOTHING)),
    "not not literal": (one(negate(negate(YES))), Counted(8, 6, 4, **PAID)),
    "and of literals": (one(all_of(YES, YES)), Counted(9, 6, 3, **PAID)),
    "and of compares": (one(all_of(LESS, LESS)), Counted(11, 10, 4, **PAID)),
    "and cut short": (one(all_of(NO, YES)), Counted(5, 3, 3, **NOTHING)),
    "or to the end": (one(any_of(NO, NO, YES)), Counted(11, 7, 3, **PAID)),
    "or cut short": (one(any_of(YES, NO)), Counted(7, 5, 3, **PAID)),
    "and of nothing": (one(all_of()), Counted(5, 4, 3, **PAID)),
    "arith as condition": (one(arith(lit(1), "+", 2)), Counted(8, 6, 3, **PAID)),
    "call as condition": (one(call("int", 1)), Counted(7, 5, 3, **PAID)),
    "arith within compare": (one(compare(arith(lit(1), "+", 2), "<", 9)), Counted(9, 8, 4, **PAID)),
    "arith as value": (
        one(YES, pays(arith(lit(1), "+", arith(lit(2), "+", 3)), "x")),
        Counted(10, 8, 5, points=6.0, case="x"),
    ),
    "clamp as value": (one(YES, pays(call("clamp", 1, 2, 3), "x")), Counted(9, 7, 4, points=2.0, case="x")),
    "callback, then payment": (one(YES, note("k", 1), PAY), Counted(8, 6, 3, **PAID)),
    "return": (one(YES, halt()), Counted(5, 3, 2, **NOTHING)),
    "else if": (one(NO, else_if=[branch(YES, PAY)]), Counted(9, 5, 3, **PAID)),
    "else if with compare": (one(NO, else_if=[branch(LESS, PAY)]), Counted(10, 7, 3, **PAID)),
    "second else if": (one(NO, else_if=[branch(NO, PAY), branch(YES, PAY)]), Counted(12, 6, 3, **PAID)),
    "else behind else if": (one(NO, else_if=[branch(NO, PAY)], otherwise=[PAY]), Counted(9, 5, 3, **PAID)),
    "else": (one(NO, otherwise=[PAY]), Counted(6, 4, 3, **PAID)),
    "skip": (one(NO), Counted(4, 2, 2, **NOTHING)),
    "two rules": ({"rules": [rule(NO, PAY), rule(YES, PAY)]}, Counted(9, 6, 3, **PAID)),
    "skip, then default": ({**one(NO), "default": PAY}, Counted(6, 4, 2, **PAID)),
    "pre": (around([rule(YES, effect("set_data", 3, "b"))], []), Counted(6, 4, 3, points=5.0, case="B")),
    "veto": (around([rule(YES, vetoes("v"))], [POST]), Counted(5, 3, 2, points=0.0, case="v")),
    "return before the parent": (around([rule(YES, halt())], [POST]), Counted(11, 7, 3, points=3.0, case="B")),
    "pre and post": (
        around(
            [rule(compare("data.a", "<", 9), effect("set_data", 3, "b"))],
            [
                rule(
                    field("data.b"),
                    effect("set_points", arith("parent.points", "+", 1)),
                    effect("set_case_name", "n"),
                )
            ],
        ),
        Counted(17, 14, 4, points=6.0, case="n"),
    ),
    # Past the validator: no statement is kept to its phase, and `default` runs only where nothing has set the result.
    "veto in DSL_FULL": (one(YES, vetoes("v"), PAY), Counted(5, 3, 2, points=0.0, case="v")),
    "set_points, no default": (
        {**one(YES, effect("set_points", 4)), "default": PAY},
        Counted(6, 4, 3, points=4.0),
    ),
    "set_case_name, no default": (
        {**one(YES, effect("set_case_name", "n")), "default": PAY},
        Counted(6, 4, 3, points=0.0, case="n"),
    ),
    "set_data, default": ({**one(YES, effect("set_data", 4, "a")), "default": PAY}, Counted(8, 6, 3, **PAID)),
    "assign before the parent": (
        around([rule(YES, PAY)], [rule(field("parent.points"), effect("set_points", 3))]),
        Counted(12, 8, 3, points=3.0, case="B"),
    ),
    "assign behind the parent": (around([], [rule(YES, PAY), POST]), Counted(6, 4, 3, **PAID)),
    "veto behind the parent": (around([], [rule(YES, vetoes("v"))]), Counted(5, 3, 2, points=0.0, case="v")),
    # What fails is counted up to where it does; what is no object is counted, too, but stands at no depth.
    "unknown condition": (one({"type": "lambda"}), Counted(4, 0, 2, "DslValidationError")),
    "unknown value": (one(YES, note("k", {"type": "lambda"})), Counted(6, 2, 3, "DslValidationError")),
    "compare as operand": (one(compare(compare(lit(1), "<", 2), "<", 3)), Counted(4, 0, 3, "DslValidationError")),
    "compare as value": (one(YES, note("k", compare(lit(1), "<", 2))), Counted(6, 2, 3, "DslValidationError")),
    "unknown statement": (one(YES, {"type": "rm_rf"}), Counted(5, 2, 2, "DSL_UNKNOWN_STATEMENT")),
    "unknown comparison": (one({**compare(lit(1), "~", 2)}), Counted(5, 2, 3, "DSL_COMPARE_OP_NOT_ALLOWED")),
    "unknown arithmetic": (one(YES, note("k", arith(lit(1), "**", 2))), Counted(8, 4, 4, "DSL_ARITH_OP_NOT_ALLOWED")),
    "unknown function": (one(YES, note("k", call("eval", "1"))), Counted(6, 2, 3, "DSL_FUNC_NAME_NOT_ALLOWED")),
    "too few arguments": (one(YES, note("k", call("clamp", 1))), Counted(6, 2, 3, "DSL_FUNC_ARITY_MISMATCH")),
    "no whole number": (one(YES, note("k", call("int", "seven"))), Counted(7, 3, 4, "DslExecutionError")),
    "field not precomputed": (one(field("user.password")), Counted(4, 0, 2, "DSL_FIELD_NOT_PRECOMPUTED")),
    "payment without a case": (one(YES, {"type": "assign_points", "value": lit(1)}), Counted(6, 3, 3, "DSL_UNEXPECTED")),
    "literal without a value": (one({"type": "literal"}), Counted(4, 0, 2, "DSL_UNEXPECTED")),
    "default that is a list": ({"rules": [], "default": [PAY]}, Counted(2, 0, 0, "DSL_UNEXPECTED")),
    "condition that is a list": (one([YES]), Counted(3, 0, 1, "DSL_UNEXPECTED")),
    "rule without a condition": ({"rules": [{"then": [PAY]}]}, Counted(2, 0, 1, "DSL_UNEXPECTED")),
}  # fmt: skip


def run(program: Json, fields: Mapping[str, Any], **options: Any) -> Outcome:
    """A run with a trace, which the one without has to equal."""
    compiled = Program(program)

    def once(keep_trace: bool) -> Outcome:
        if not compiled.extends:
            return compiled.run(fields, keep_trace=keep_trace, **options)
        return compiled.run_extend(fields, lambda _data: ParentResult(5, "B"), keep_trace=keep_trace, **options)

    traced, quick = once(True), once(False)
    for name in ("status", "error_code", "points", "case_name", "visits", "nodes", "halted", "vetoed"):
        assert getattr(traced, name) == getattr(quick, name), name
    assert traced.nodes == len(traced.trace or ())
    return traced


@pytest.mark.parametrize(("program", "wanted"), TABLE.values(), ids=TABLE.keys())
def test_visits_entries_and_nesting_are_those_of_the_engine(program: Json, wanted: Counted) -> None:
    fields = {"data.a": 1, "data.b": None}
    found = run(program, fields)
    result = (found.error_code, None if found.points is None else float(found.points), found.case_name)
    assert (found.visits, found.nodes, *result) == (wanted.visits, wanted.nodes, *wanted[3:])
    # One level less than it nests, and it is stopped there; the program itself has no level.
    assert run(program, fields, max_depth=wanted.depth).status != "limit"
    assert wanted.depth == 0 or run(program, fields, max_depth=wanted.depth - 1).status == "limit"
    most = size(program)
    if most.reason is None:
        assert most.entries_max is not None and most.entries_max >= wanted.nodes
        assert most.depth is not None and most.depth >= wanted.depth
        phases = 2 if {"pre_rules", "post_rules"} <= program.keys() else 1
        assert most.visits_max is not None and most.visits_max * phases >= wanted.visits


# ---- random programs -------------------------------------------------------------------------------------------------


class Author:
    """Writes programs at random, each condition on fields of its own, so that every way through can be taken."""

    def __init__(self, seed: int) -> None:
        self.rng, self.fields = random.Random(seed), 0

    def fresh(self) -> Json:
        self.fields += 1
        return field(f"data.f{self.fields}")

    def condition(self, depth: int) -> Json:
        kind = self.rng.choice(
            ["field", "field", "compare", "arith", "not", "and", "or"] if depth else ["field", "compare"]
        )
        if kind in ("and", "or"):
            return {"type": kind, "args": [self.condition(depth - 1) for _ in range(self.rng.randint(1, 2))]}
        if kind == "not":
            return negate(self.condition(depth - 1))
        if kind == "compare":
            return compare(self.fresh(), "==", arith(lit(2), "-", 1) if self.rng.random() < 0.5 else 1)
        return self.fresh() if kind == "field" else arith(self.fresh(), "*", 2)

    def block(self) -> list[Json]:
        # Of every phase: the engine keeps none to its own.
        steps = (
            note("k", arith(lit(1), "+", 2)),
            PAY,
            halt(),
            effect("set_points", 3),
            effect("set_data", 1, "k"),
            vetoes("v"),
        )
        return self.rng.choices(steps, (4, 2, 1, 2, 1, 1), k=self.rng.randint(0, 3))

    def program(self) -> Json:
        rules = []
        while len(rules) < 3 and self.fields < 6:
            more = [branch(self.condition(1), *self.block()) for _ in range(self.rng.randint(0, 1))]
            rules.append(rule(self.condition(2), *self.block(), else_if=more, otherwise=self.block()))
        return {"rules": rules, **({"default": PAY} if self.rng.random() < 0.5 else {})}


def counted(node: Json, fields: Mapping[str, Any], depth: int, is_tested: bool) -> tuple[int, int, Any]:
    """Visits, depth and value of a node by the rules of the table: a bare expression that is tested counts twice."""
    kind = node["type"]
    is_own = kind in ("not", "and", "or", "compare")
    visits, deepest, values = 1 + (is_tested and not is_own), depth, []
    for part in node.get("args") or [node[key] for key in ("arg", "left", "right") if key in node]:
        more, below, value = counted(part, fields, depth + 1, kind in ("not", "and", "or"))
        visits, deepest = visits + more, max(deepest, below)
        values.append(value)
        if (kind == "or" and value) or (kind == "and" and not value):
            break
    if kind in ("literal", "field"):
        return visits, deepest, node["value"] if kind == "literal" else fields[node["path"]]
    first, last = values[0], values[-1]
    known = {"not": not first, "and": last, "or": last, "compare": first == last}
    return (
        visits,
        deepest,
        known[kind] if is_own else {"+": first + last, "-": first - last, "*": first * last}[node["op"]],
    )


def walked(program: Json, fields: Mapping[str, Any]) -> tuple[int, int]:
    """Visits and depth of a run: rule by rule, branch by branch, statement by statement."""
    visits, deepest, is_set = 1, 0, False

    def statements(steps: list[Json], depth: int) -> Iterator[tuple[int, int, str]]:
        for step in steps:
            more, below, _ = counted(step["value"], fields, depth + 1, False) if "value" in step else (0, depth, None)
            yield 1 + more, max(depth, below), step["type"]
            if step["type"] in ("assign_points", "veto", "return"):
                yield 0, 0, "end"
                return

    for found in program["rules"]:
        visits, steps = visits + 1, found.get("else", [])
        for number, way in enumerate([found, *found.get("else_if", [])]):
            more, below, value = counted(way["when"], fields, 2, True)
            visits, deepest = visits + more + (number > 0), max(deepest, below)
            if value:
                steps = way["then"]
                break
        for more, below, kind in statements(steps, 2):
            visits, deepest, is_set = visits + more, max(deepest, below), is_set or kind == "set_points"
            if kind == "end":
                return visits, deepest
    if "default" in program and not is_set:
        for more, below, _ in statements([program["default"]], 1):
            visits, deepest = visits + more, max(deepest, below)
    return visits, deepest


@pytest.mark.parametrize("seed", range(40))
def test_a_random_program_visits_what_the_table_says_and_its_longest_run_is_its_size(seed: int) -> None:
    author = Author(seed)
    program = author.program()
    compiled, most, longest, deepest = Program(program), size(program), 0, 0
    ways = list(itertools.product((0, 1), repeat=author.fields))
    for number, values in enumerate(ways):
        fields = {f"data.f{index}": value for index, value in enumerate(values, 1)}
        found = run(program, fields) if number % 16 == 0 else compiled.run(fields, keep_trace=False)
        visits, depth = walked(program, fields)
        assert (found.status, found.visits) == ("ok", visits)
        longest, deepest = max(longest, visits), max(deepest, depth)
    assert (most.visits_max, most.depth) == (longest, deepest)


def test_a_program_of_bare_conditions_is_not_said_to_stay_below_a_cap_that_stops_it() -> None:
    # Each rule: itself, or, three bare fields twice: 8 visits that leave 5 entries. With the program's own 95 of them are 761.
    program = {"rules": [rule(any_of(*(field(f"data.f{index}") for index in range(3))), PAY)] * 95}
    stopped = run(program, {f"data.f{index}": 0 for index in range(3)}, max_nodes=700)
    assert stopped.status == "limit"
    most, at = size(program), datetime(2026, 7, 8, 12)
    told = LimitHits(
        status=Status.NEW, key=Key("acme", "Ladder", 1), since=at, until=at, count=7, past=Recurrence(), burst_count=1,
        below=RunsBelowCap(None, None, fits_lowered=False), size=most, limits=Thresholds(node_cap=700),
    )  # fmt: skip
    assert most.visits_max is not None and most.visits_max >= 761
    assert "cannot stop it" not in plain(sentence(told))
