"""Built-ins, and programs around them: what a version pays is more than its rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from analytics.demo.catalog import BuiltIn, Column, Events
from analytics.demo.dsl import Node, all_of, arith, compare, effect, field, rule
from analytics.program import ParentResult

Data = dict[str, Any]
Variables = Mapping[str, Any]


def _basic(data: Data, variables: Variables) -> ParentResult:
    """So much for taking part, and a bonus for whoever was fast."""
    fast = data["minutes"] <= 30
    bonus = variables["variable_bonus_points"] if fast else 0
    return ParentResult(variables["variable_basic_points"] + bonus, "BonusEngagement" if fast else "BasicEngagement")


def _effort(data: Data, variables: Variables) -> ParentResult:
    """By the minute, in three cases."""
    minutes = data["minutes"]
    case = "ShortEffort" if minutes <= 20 else "Effort" if minutes <= 30 else "LongEffort"
    return ParentResult(int(minutes * variables["variable_minute_points"]), case)


def _half_more(data: Data, variables: Variables) -> ParentResult:
    """The same built-in after somebody deployed it anew."""
    usual = _basic(data, variables)
    return ParentResult(usual.points * 1.5, usual.case_name)


_VARIABLES: Final = {"variable_basic_points": 5, "variable_bonus_points": 10}
BASIC: Final = BuiltIn("default", _basic, _VARIABLES)
EFFORT: Final = BuiltIn("constantEffortStrategy", _effort, {"variable_minute_points": 0.5})


def redeployed(since: str) -> BuiltIn:
    """`BASIC`, which pays half as much again from a moment on."""
    return BuiltIn("default", _basic, _VARIABLES, ((since, _half_more),))


def session_fields(events: Events) -> dict[str, Column]:
    """Sessions of some half an hour with up to nine friends."""
    return {
        "data.minutes": events.steps(29, 0.35, 120),
        "data.friends": events.whole(0, 9),
        "user.measurements_count": events.measurements(),
    }


def around(bonus: int | None = None, *, node_id: str = "friends") -> Node:
    """Two points more for whoever brings friends; the built-in's bonus, where it is set."""
    program: Node = {
        "post_rules": [
            rule(
                all_of(compare("data.friends", ">=", 4), compare("user.measurements_count", ">", 1)),
                effect("set_points", arith("parent.points", "+", 2)),
                node_id=node_id,
            )
        ]
    }
    return program if bonus is None else {**program, "parent_variables": {"variable_bonus_points": bonus}}


def handed(k: int, *, reads_minutes: bool = False) -> Node:
    """The pre phase sets k, the post phase asks for it."""
    told = [rule(compare("data.minutes", ">", 0), effect("set_data", k, key="k"), node_id="hand")]
    if reads_minutes:
        told.append(rule(compare("data.minutes", ">", 30), effect("set_data", 30, key="minutes"), node_id="cut"))
    return {
        "pre_rules": told,
        "post_rules": [
            rule(compare("data.k", ">=", 5), effect("set_points", 10), node_id="high"),
            rule(compare("data.k", "<", 5), effect("set_points", 1), node_id="low"),
        ],
    }


def shortened(most: int) -> Node:
    """The pre phase hands the built-in other minutes than the client sent: it decides what the built-in answers."""
    return {
        "pre_rules": [
            rule(
                compare("data.minutes", ">", most),
                effect("set_data", arith("data.minutes", "min", most), key="minutes"),
                node_id="shorten",
            )
        ],
        "post_rules": [
            rule(
                compare("parent.points", ">", 0), effect("set_points", arith("parent.points", "+", 1)), node_id="thanks"
            )
        ],
    }


def asks_case(wanted: str) -> Node:
    """Doubles what the built-in answers under a case."""
    return {
        "post_rules": [
            rule(
                compare("parent.case_name", "==", wanted),
                effect("set_points", arith("parent.points", "*", 2)),
                node_id="double",
            )
        ]
    }


def names_case(name: str) -> Node:
    """Gives each run a case name of its own, and no other points."""
    return {
        "post_rules": [
            rule(
                compare("data.friends", ">=", 0),
                effect("set_points", arith(field("parent.points"), "+", 0)),
                effect("set_case_name", name),
                node_id="name",
            )
        ]
    }
