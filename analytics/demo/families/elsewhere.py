"""Runs without a realm, and a realm whose every text is an attack on whoever prints it."""

from __future__ import annotations

from analytics.demo.catalog import Column, Events, Family, Version
from analytics.demo.dsl import Node, all_of, arith, assign, call, compare, field, halt, lit, negate, note, rule

HOSTILE_REALM = "evil/../\"<script>alert(1)</script>=%41';--🎈"
HOSTILE_FAMILY = '</script><img src=x onerror=alert(1)> =HYPERLINK("x";"y") **b** \u202etxt.exe'

_QUIET_HOURS = {
    "rules": [
        rule(compare("data.hour", "<", 6), note("quiet", True), halt(), node_id="night"),
        rule(compare("data.birthday", "==", True), assign(5, "Birthday"), node_id="birthday"),  # rare: never seen
        rule(
            compare("data.steps", ">=", 4000),
            assign(call("int", arith("data.steps", "/", 1000)), "Walked"),
            node_id="walked",
        ),
    ]
}


def _quiet_fields(events: Events) -> dict[str, Column]:
    return {
        "data.hour": events.whole(0, 23),
        "data.birthday": [False] * len(events),
        "data.steps": events.whole(500, 16000),
    }


def _imported(points: int) -> dict[str, object]:
    return {"rules": [rule(compare("data.steps", ">", 8000), assign(points, "Imported"), node_id="steps")]}


def _probe(number: int, what: Node) -> Node:
    asked = compare("data.probe", "==", number)
    when, then = (all_of(asked, what), halt()) if what["type"] == "compare" else (asked, what)
    return rule(when, then, node_id=f"probe {number} '); DROP TABLE nodes;--")


#: Probe -> what it trips over, a statement or a comparison. A validated program cannot hold most of these; this one was written
#: past the editor.
PROBES: dict[int, tuple[str, Node]] = {
    1: ("DSL_UNKNOWN_STATEMENT", {"type": "exec_shell"}),
    2: ("DSL_COMPARE_OP_NOT_ALLOWED", compare("data.n", "=~", "a")),
    3: ("DSL_ARITH_OP_NOT_ALLOWED", note("x", arith("data.n", "**", 9))),
    4: ("DSL_FUNC_NAME_NOT_ALLOWED", note("x", call("eval", "1"))),
    5: ("DSL_FUNC_ARITY_MISMATCH", note("x", call("clamp", 1, 2))),
    6: ("DslValidationError", {"type": "set_callback_data", "key": "x", "value": {"type": "lambda"}}),
    7: ("DslExecutionError", note("x", call("int", "seven"))),
    8: ("DSL_ASSIGN_POINTS_NOT_NUMBER", assign("=1+1", "=1+1")),
    9: ("DSL_ARITH_TYPE_MISMATCH", note("x", arith("data.n", "-", "a"))),
    10: ("DSL_COMPARE_TYPE_MISMATCH", compare("data.n", "<", None)),
    11: ("DSL_UNEXPECTED", {"type": "set_callback_data", "key": "x"}),
    12: ("DSL_FIELD_NOT_PRECOMPUTED", note("x", field("user.password"))),
}

_HOSTILE = {
    "rules": [
        *(_probe(number, node) for number, (_, node) in PROBES.items()),
        rule(
            negate(compare("data.n", "<", 0)),
            note("<b>key</b>", field("data.text")),
            note("meta", field("data.meta")),
            assign(arith("data.n", "+", lit(0.1)), "=cmd|' /C calc'!A0"),
            node_id="<img src=x onerror=alert(1)>",
        ),
    ],
    "default": assign(0, "[click](javascript:alert(1))\u202e gnp"),
}
_TEXTS = ["<script>alert(1)</script>", "=1+1", "-2+3", "@SUM(A1)", "line\nbreak\ttab", "\u202eright to left", "🎈" * 3]
_META = [
    [{"nodeId": "n", "type": "rule", "value": True}],
    {"nodeId": "x", "branch": None},
    [[1.1, "1"], []],
    None,
    10**30,
]


def _hostile_fields(events: Events) -> dict[str, Column]:
    return {
        "data.probe": [0] * len(events),
        "data.n": events.whole(-1, 20),
        "data.text": events.rng.choice(_TEXTS, len(events)),
        "data.meta": [_META[index] for index in events.whole(0, len(_META) - 1).tolist()],
    }


FAMILIES = (
    Family(
        None,
        "Quiet hours",
        1.0,
        (Version(1, _QUIET_HOURS, "2026-05-01 00:00"),),
        _quiet_fields,
        games=("walk",),
        tasks=("steps",),
    ),
    Family(
        None,
        "Imported steps",
        0.6,
        (Version(1, _imported(2), "2026-05-01 00:00"), Version(2, _imported(3), "2026-07-04 00:00")),
        _quiet_fields,
        games=("walk",),
        tasks=("steps",),
        shared_id=True,
    ),
    Family(
        HOSTILE_REALM,
        HOSTILE_FAMILY,
        1.2,
        (Version(1, _HOSTILE, "2026-06-20 00:00"),),
        _hostile_fields,
        games=("'; DROP TABLE strategyexecutionlog;--", "game\n2"),
        tasks=("../../etc/passwd", "<task>"),
    ),
)
