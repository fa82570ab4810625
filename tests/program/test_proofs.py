"""What a program proves of its own rules, against every run that tries to disprove it."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from analytics.program import ParentResult, compile_program, outline
from analytics.program.proofs import Proof, proofs

HOSTILE: tuple[Any, ...] = (
    -1, 0, 1, 2, 3, 1.5, 0.999999, -0.0, True, False, None, "", "a", "b", "1", "a\x00", [], [1], {}, {"a": 1}, math.nan,
    math.inf, -math.inf, 10**400, 2**53 + 1,
)  # fmt: skip


def lit(value: Any) -> dict[str, Any]:
    return {"type": "literal", "value": value}


def field(path: str) -> dict[str, Any]:
    return {"type": "field", "path": path}


def cmp(path: str, op: str, value: Any) -> dict[str, Any]:
    return {"type": "compare", "op": op, "left": field(path), "right": lit(value)}


def both(*args: Any) -> dict[str, Any]:
    return {"type": "and", "args": list(args)}


def either(*args: Any) -> dict[str, Any]:
    return {"type": "or", "args": list(args)}


def no(arg: Any) -> dict[str, Any]:
    return {"type": "not", "arg": arg}


PAY = {"type": "assign_points", "value": lit(1), "case_name": "Paid"}
NOTE = {"type": "set_callback_data", "key": "note", "value": lit(1)}


def rule(when: Any, then: Any = PAY, **rest: Any) -> dict[str, Any]:
    return {"when": when, "then": [then], **rest}


A, B, X5 = cmp("data.a", "==", 1), cmp("data.b", ">", 2), cmp("data.x", ">=", 5)


@pytest.mark.parametrize(
    ("rules", "index", "what", "says"),
    [
        ([rule(lit(False))], 0, "never", "false is false whatever comes"),
        ([rule(lit(True), NOTE)], 0, "always", "whatever comes"),
        ([rule({"type": "compare", "op": ">", "left": lit(1), "right": lit(2)})], 0, "never", "1 > 2"),
        ([rule(both(cmp("data.x", "<", 1), cmp("data.x", ">", 2)))], 0, "never", "data.x > 2 cannot be true"),
        ([rule(both(cmp("data.x", "==", "a"), cmp("data.x", "<", 1)))], 0, "never", "data.x < 1 cannot be true"),
        ([rule(lit(True)), rule(A)], 1, "unreachable", "no run comes past rule 1"),
        ([rule(A), rule(A)], 1, "never", "its condition is that of rule 1, which ends every run that meets it"),
        ([rule(A), rule(B, NOTE), rule(both(A, B))], 2, "never", "rule 1 leaves only runs in which data.a == 1 is false"),
        ([rule(both(A, B)), rule(both(B, X5, A))], 1, "never", "(data.a == 1 and data.b > 2) is false"),
        ([rule(X5), rule(cmp("data.x", ">=", 8))], 1, "never", "data.x >= 5 is false past rule 1"),
        ([rule(either(A, B)), rule(A)], 1, "never", "data.a == 1 is false"),
        ([rule(no(A)), rule(no(B)), rule(both(A, B)), rule(X5)], 3, "unreachable", "no run comes past rule 3"),
        ([rule(no(A)), rule(both(A, B)), rule(B)], 2, "never", "rule 2 leaves only runs in which data.b > 2 is false"),
        ([rule(A, NOTE, **{"else": [PAY]}), rule(no(A))], 1, "never", "data.a == 1 is true"),
        ([rule(A, NOTE, else_if=[{"when": B, "then": [PAY]}], **{"else": [PAY]}), rule(B), rule(A)], 2, "always", "is true"),
    ],
)  # fmt: skip
def test_a_program_proves_what_its_rules_cannot_do(rules: list[Any], index: int, what: str, says: str) -> None:
    program = outline({"rules": rules})
    proof = proofs(program)[program.tops[f"rules[{index}]"].position]
    assert proof.what == what
    assert says in proof.why


@pytest.mark.parametrize(
    "rules",
    [
        [rule(A, NOTE), rule(A)],  # the first does not end the program
        [rule(cmp("data.x", "<", 5)), rule(cmp("data.x", ">=", 5)), rule(B)],  # NaN comes as far as here
        [rule(cmp("data.x", "==", 1)), rule(cmp("data.x", "==", "1"))],
        [rule(cmp("data.x", ">", 1)), rule(cmp("data.x", "==", True))],
        [rule(both(A, B)), rule(A)],
        [rule(A, NOTE, else_if=[{"when": B, "then": [PAY]}]), rule(A)],
    ],
)
def test_what_some_event_can_do_is_not_proven_impossible(rules: list[Any]) -> None:
    program = outline({"rules": rules})
    last = program.tops[f"rules[{len(rules) - 1}]"].position
    assert last not in proofs(program)


def test_a_default_that_no_run_reaches_and_an_else_if_that_asks_again_are_found() -> None:
    program = outline(
        {"rules": [rule(A, else_if=[{"when": A, "then": [PAY]}], **{"else": [PAY]}), rule(B)], "default": PAY}
    )
    found = proofs(program)
    again = program.tops["rules[0]"].below["else_if[0].when"]
    assert found[again.position].what == "never"
    assert found[program.tops["default"].position] == Proof(
        "unreachable", "no run comes past rule 1, which ends every run that reaches it"
    )


def test_the_post_phase_knows_nothing_of_the_pre_phase() -> None:
    change = {"type": "set_data", "key": "a", "value": lit(1)}
    veto = {"type": "veto", "case_name": "No"}
    program = outline({"pre_rules": [rule(A, veto), rule(B, change)], "post_rules": [rule(A)]})
    assert proofs(program) == {}


# ---- whatever comes --------------------------------------------------------------------------------------------------


def _operand(rng: random.Random, depth: int) -> dict[str, Any]:
    if rng.random() < 0.65 or depth > 2:
        return field(rng.choice(("data.x", "data.y")))
    if rng.random() < 0.4:
        return lit(rng.choice((0, 1, 2, 1.5, True, False, None, "", "a", "b", [], [1], math.nan, math.inf, "a\x00")))
    op = rng.choice(("+", "-", "*", "/", "min", "max"))
    return {"type": "arith", "op": op, "left": _operand(rng, depth + 1), "right": _operand(rng, depth + 1)}


def _condition(rng: random.Random, depth: int = 0) -> Any:
    draw = rng.random()
    if draw < 0.3 and depth < 3:
        return {
            "type": rng.choice(("and", "or")),
            "args": [_condition(rng, depth + 1) for _ in range(rng.randint(0, 3))],
        }
    if draw < 0.4 and depth < 3:
        return no(_condition(rng, depth + 1))
    if draw < 0.5:
        return rng.choice((lit(True), lit(False), field("data.x"), _operand(rng, 0), lit(0), None))
    op = rng.choice(("<", "<=", "==", "!=", ">=", ">", "=~" if rng.random() < 0.05 else "<"))
    sides = [
        field(rng.choice(("data.x", "data.x", "data.y"))),
        lit(rng.choice((0, 1, 2, 1.5, True, "a", "b", None, [1]))),
    ]
    if rng.random() < 0.2:
        sides = [_operand(rng, 0), _operand(rng, 0)]
    rng.shuffle(sides)
    return {"type": "compare", "op": op, "left": sides[0], "right": sides[1]}


def _steps(rng: random.Random) -> Any:
    change, veto = {"type": "set_data", "key": "x", "value": lit(1)}, {"type": "veto", "case_name": "No"}
    found = [rng.choice((PAY, NOTE, NOTE, {"type": "return"}, change, veto))]
    return rng.choice((found, found, [NOTE, *found], [], None))


def _program(rng: random.Random) -> dict[str, Any]:
    pool = [_condition(rng) for _ in range(3)]

    def asked() -> Any:
        return rng.choice(pool) if rng.random() < 0.5 else _condition(rng)

    def one() -> dict[str, Any]:
        made: dict[str, Any] = {"when": asked(), "then": _steps(rng)}
        if rng.random() < 0.3:
            made["else_if"] = [{"when": asked(), "then": _steps(rng)} for _ in range(rng.randint(1, 2))]
        if rng.random() < 0.3:
            made["else"] = _steps(rng)
        return made

    rules = [one() for _ in range(rng.randint(1, 5))]
    if rng.random() < 0.2:
        return {"pre_rules": rules[:2], "post_rules": rules}
    return {"rules": rules, "default": rng.choice((PAY, [NOTE, PAY], None))}


def _numbered(program: dict[str, Any]) -> dict[str, Any]:
    """The same with the position of each node as its id."""
    found = json.loads(json.dumps(program))  # no node stands twice
    for spot in outline(found).spots:
        spot.node["id"] = spot.position  # type: ignore[index]
    return found


def disproofs(seed: int) -> tuple[int, list[str]]:
    """Things that a random program proves, and those that a run does all the same."""
    rng = random.Random(seed)
    ast = _numbered(_program(rng))
    proven = proofs(outline(ast))
    if not proven:
        return 0, []
    program = compile_program(ast)
    wrong = []
    for x in HOSTILE:
        for y in rng.sample(HOSTILE, 5):
            fields = {"data.x": x, "data.y": y}
            data = {"x": x, "y": y}
            made = (
                program.run_extend(fields, lambda _: ParentResult(1), data=data)
                if program.extends
                else program.run(fields, data=data)
            )
            for entry in made.trace or ():
                proof = proven.get(entry["nodeId"])
                if proof is None:
                    continue
                if proof.what == "unreachable" or bool(entry["value"]) is (proof.what == "never"):
                    wrong.append(f"seed {seed}: {proof} but {entry} with x = {x!r}, y = {y!r}")
    return len(proven), wrong


def test_no_event_does_what_a_program_proves_impossible() -> None:
    found = [disproofs(seed) for seed in range(400)]
    assert [words for _, wrong in found for words in wrong][:3] == []
    assert sum(count for count, _ in found) > 300


@pytest.mark.long
def test_no_event_does_so_in_many_programs() -> None:
    found = [disproofs(seed) for seed in range(1_000, 31_000)]
    assert [words for _, wrong in found for words in wrong][:3] == []
