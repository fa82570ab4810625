"""Programs of every kind that a definition can hold: ordinary, poor, huge, refused by any validator, and no program at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analytics.demo.dsl import all_of, arith, assign, compare, effect, field, ladder, lit, negate, note, rule, veto

HOSTILE = "</script><b onload=x>'\"&{{7*7}}\u202e\u05d0😀%"
BUILT_IN = "EnhancedGamificationStrategy"


def _plain(amount: int) -> Any:
    return {
        "rules": [
            rule(compare("user.measurements_count", "<", 2), assign(1, "Joined"), node_id="joined"),
            rule(
                all_of(compare("user.avg_time", "<", field("all.avg_time")), compare("data.distance", ">=", 1)),
                assign(arith("data.distance", "*", amount), "Fast"),
                node_id="fast",
            ),
            rule(compare("data.distance", ">=", 3), assign(amount, "Far"), node_id="far"),
        ]
    }


def _data_only(amount: int) -> Any:
    return {
        "rules": [rule(compare("data.distance", ">=", 2), assign(amount, "Far")), rule(lit(True), assign(1, "Rest"))]
    }


def _no_field(amount: int) -> Any:
    return {"rules": [rule(lit(True), assign(amount, "Always"))]}


def _never(amount: int) -> Any:
    return {
        "rules": [rule(lit(False), assign(amount, "Never")), rule(compare("data.distance", ">", 1e9), assign(2, "Far"))]
    }


def _one_field(amount: int) -> Any:
    return {"rules": [rule(compare("user.avg_time", ">", 1e9), assign(amount, None))], "default": assign(0, "Default")}


def _cut(amount: int) -> Any:
    return {
        "rules": [rule(ladder("data.distance", 1, 120, -200), assign(amount, "Rung")), rule(lit(True), note("k", 1))]
    }


def _empty(_: int) -> Any:
    return {"rules": []}


def _deep(amount: int) -> Any:
    when: Any = lit(True)
    for _ in range(40):
        when = negate(when)
    return {"rules": [rule(when, assign(amount, "Deep"))]}


def _large(amount: int) -> Any:
    return {"rules": [rule(compare("data.distance", ">", 1e6 + n), assign(amount, f"Case {n}")) for n in range(330)]}


def _bypassed(amount: int) -> Any:
    odd = [effect("set_points", amount), veto("No"), {"type": "loop", "body": []}]
    unknown = {"when": {"type": "regex", "value": "x"}, "then": odd}
    return {"rules": [rule(lit(True), effect("set_data", 3, "distance"), odd[0]), unknown]}


def _same_ids(amount: int) -> Any:
    rules = [rule(compare("data.distance", ">", n), note("k", n), node_id="same") for n in range(3)]
    pay = {**assign(amount, HOSTILE), "id": "same"}
    return {"rules": [*rules, {"id": None, "when": {**lit(True), "id": None}, "then": [pay]}]}


def _hostile(amount: int) -> Any:
    when = {**compare(f"data.{HOSTILE}", "==", HOSTILE), "id": HOSTILE}
    return {"rules": [rule(when, assign(amount, HOSTILE), node_id=HOSTILE), rule(lit(HOSTILE), assign(1, HOSTILE * 9))]}


def _extend(amount: int) -> Any:
    return {
        "pre_rules": [
            rule(compare("data.distance", "<", 0.2), veto("Too short")),
            rule(lit(True), effect("set_data", amount, "bonus")),
        ],
        "post_rules": [
            rule(
                compare("user.avg_time", "<", 20),
                effect("set_points", arith("parent.points", "+", field("data.bonus"))),
                effect("set_case_name", "Bonus"),
            )
        ],
    }


def _bare(amount: int) -> Any:
    return {"rules": [], "parent_variables": {"variable_basic_points": amount}}


_BROKEN: tuple[Any, ...] = (
    None, [1, 2, 3], "text", 7,
    {"rules": {"a": 1}},
    {"rules": [None, 3, "x", {"when": [], "then": 5, "else_if": 7, "else": "no"}]},
    {"rules": [{"when": {"type": "compare", "op": ["<"], "left": [], "right": None}, "then": [{"type": ["veto"]}]}]},
    {"rules": [{"when": {"type": "field", "path": {"a": []}}, "then": []}], "default": [[[]]]},
)  # fmt: skip


def _broken(amount: int) -> Any:
    return _BROKEN[amount % len(_BROKEN)]


FULL: dict[str, Callable[[int], Any]] = {
    found.__name__.removeprefix("_"): found
    for found in (
        _plain, _data_only, _no_field, _never, _one_field, _cut, _empty, _deep, _large, _bypassed, _same_ids, _hostile, _broken,
    )
}  # fmt: skip
EXTENDING: dict[str, Callable[[int], Any]] = {"extend": _extend, "bare": _bare}
KINDS = (*FULL, *EXTENDING)


def program(kind: str, amount: int) -> Any:
    """The AST of a version that pays so much."""
    return (FULL | EXTENDING)[kind](amount)
