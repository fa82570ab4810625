"""Rows that the simulated engine does not write, one per trap that the log table is known to hold.

They live in realms of their own, so that no story's numbers change, and their ids are the same in every demo.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from analytics.demo.engine import COLUMNS
from analytics.storage.typed_json import Json

ENTRY: Final = '{"nodeId":"n1","type":"literal","value":1}'
DIGITS_300: Final = "9" * 300


def entry(value: Json, node_id: Json = "n1", kind: str = "literal", **more: Json) -> str:
    """A trace of one entry."""
    return json.dumps([{"nodeId": node_id, "type": kind, "value": value, **more}], ensure_ascii=False)


def _raw(value: str) -> str:
    """A trace of one entry whose value is given as JSON text, so that its spelling survives."""
    return f'[{{"nodeId":"n1","type":"literal","value":{value}}}]'


SHAPES: Final[tuple[tuple[str, str | None], ...]] = (
    ("the trace is SQL NULL instead of JSON null", None),
    ("the trace is an empty array", "[]"),
    ("the trace is an object", '{"nodeId":"n1","type":"rule","value":true}'),
    ("the trace is a string", '"trace"'),
    ("the trace is an empty string", '""'),
    ("the trace is a number", "42"),
    ("the trace is a boolean", "true"),
    ("the trace is an array of scalars", '[1,"two",null,true]'),
    ("the trace mixes entries with scalars", f"[{ENTRY},7,{ENTRY}]"),
    ("the trace is an array of arrays", f"[[{ENTRY}],[]]"),
    ("an entry has keys that nobody knows", '[{"nodeId":"n1","type":"rule","value":true,"branch":"match","depth":3}]'),
    ("a node id is a number", '[{"nodeId":17,"type":"literal","value":1}]'),
    ("a type is a number", '[{"nodeId":"n1","type":5,"value":1}]'),
    ("an entry has no value", '[{"nodeId":"n1","type":"literal"}]'),
    ("an entry has no type", '[{"nodeId":"n1","value":1}]'),
    ("an entry has no node id", '[{"type":"literal","value":1}]'),
    ("an entry is an empty object", "[{}]"),
    ("a branch is null instead of missing", '[{"nodeId":"n1","type":"literal","value":1,"branch":null}]'),
    ("a branch is a number", '[{"nodeId":"n1","type":"rule","value":true,"branch":3}]'),
    ("a branch is an empty string", '[{"nodeId":"n1","type":"rule","value":true,"branch":""}]'),
    ("a node id is null", entry(1, node_id=None)),
    ("a node id is an empty string", entry(1, node_id="")),
    (
        "a node id repeats within the trace",
        f'[{ENTRY},{ENTRY},{{"nodeId":"n1","type":"rule","value":true,"branch":"match"}}]',
    ),
    ("a type that no manual lists", entry(1, kind="teleport")),
    ("an `and` that was cut by its last argument", entry(False, kind="and", branch="short_circuit:11")),
)

VALUES: Final[tuple[tuple[str, str], ...]] = (
    ("a value is the number 1", _raw("1")),
    ('a value is the text "1"', _raw('"1"')),
    ("a value is the number 1.0", _raw("1.0")),
    ("a value is true", _raw("true")),
    ('a value is the text "true"', _raw('"true"')),
    ("a value is null", _raw("null")),
    ('a value is the text "null"', _raw('"null"')),
    ("a value is an empty text", _raw('""')),
    ("a value is an integer of 300 digits", _raw(DIGITS_300)),
    ("a value is minus an integer of 300 digits", _raw("-" + DIGITS_300)),
    ("a value is 1.10, which a double prints as 1.1", _raw("1.10")),
    ("a value has more digits than a double", _raw("12345678901234567890123.5")),
    ("a value is 2^53 + 1", _raw("9007199254740993")),
    ("a value is 1e400, beyond any double", _raw("1e400")),
    ("a value is 1e-320, below the normal doubles", _raw("1e-320")),
    ("a value is minus zero", _raw("-0.0")),
    ("a value is a text of 5,000 characters", entry("x" * 5000)),
    ("a value is a nested array", _raw('[[1,"1",[true,null]],[],{}]')),
    ("a value is an object", _raw('{"a":{"b":[1,2,{"c":null}]}}')),
    ("a value is an array that looks like a trace", entry([{"nodeId": "x", "type": "rule", "value": True}])),
    ("a value is an object that looks like an entry", entry({"nodeId": "x", "type": "assign_points", "value": 99})),
    ("a value is a text that looks like an array", entry("[1,2]")),
    ("a value is a text that looks like an object", entry('{"nodeId":"x"}')),
    ("a value is emoji", entry("🎈👩‍👩‍👧 🇪🇺")),
    ("a value is right-to-left text with an override", entry("\u202eשלום سلام\u202c")),
    (
        "a value holds control characters",
        json.dumps([{"nodeId": "n1", "type": "literal", "value": "\x01\x02\x1f\x7f"}]),
    ),
    ("a value holds line separators", entry("a\u2028b\u2029c\u0085d")),
    ("a value holds newlines, tabs and quotes", entry("a\nb\r\nc\td\"e'f")),
    ("a value holds backslashes and \\N", entry("\\N \\\\ \\. \\x41 C:\\temp")),
    ("a value is exactly \\N", entry("\\N")),
    ("a value is a byte order mark", entry("\ufefftext")),
)

REALM: Final = "quirks"
_NAMESPACE: Final = uuid.UUID("0b7c5bd1-6d5d-4bd2-8f0e-6f7f3a1f2c77")
_FAILED: Final[Mapping[str, str | None]] = {
    "status": "error",
    "errorCode": "DSL_UNEXPECTED",
    "points": None,
    "caseName": None,
    "nodesExecuted": "0",
    "trace": "null",
    "sampled": "f",
}


@dataclass(frozen=True, slots=True)
class EdgeCase:
    """One odd row.

    Attributes:
        why: What is odd about it; unique.
        values: Column → text as PostgreSQL takes it, None for SQL NULL; by the source's column names.
    """

    why: str
    values: Mapping[str, str | None]


def _points() -> Iterator[tuple[str, dict[str, str | None]]]:
    yield "points are NaN", {"points": "NaN"}
    yield "points are Infinity", {"points": "Infinity"}
    yield "points are -Infinity", {"points": "-Infinity"}
    yield "points are negative", {"points": "-7.5"}
    yield "points are 2^53 + 1", {"points": "9007199254740993"}
    yield "points are so small that a double is subnormal", {"points": "0." + "0" * 319 + "1"}
    yield "points are the exact expansion of a double, over 1,000 characters", {"points": _smallest_double()}
    yield "points are 10^400, beyond any double", {"points": "1" + "0" * 400}
    yield "points are -10^400", {"points": "-1" + "0" * 400}
    yield "points are 10^-400, below any double", {"points": "0." + "0" * 399 + "1"}
    yield "points are NULL on an ok run that has a trace", {"points": None}
    yield "points are 0 without a case: no rule matched", {"points": "0", "caseName": None}
    yield "the duration is NaN", {"durationMs": "NaN"}
    yield "the duration is negative: the clock was set back", {"durationMs": "-3.25"}
    yield "the duration is an hour", {"durationMs": "3600000"}
    yield (
        "a cancelled call: ok, no points, no trace",
        {"points": None, "caseName": None, "trace": "null", "nodesExecuted": "0"},
    )
    yield (
        "a wrapped built-in refused the event: points -1 and a sentence as case name",
        {
            "points": "-1",
            "caseName": "The user is not assigned to this task.",
            "trace": "null",
            "nodesExecuted": "0",
            "strategyType": "DSL_EXTEND",
            "parentStrategyId": "default",
        },
    )


def _smallest_double() -> str:
    """The smallest double, written out: 1,076 characters."""
    return format(Decimal(math.ulp(0.0)), "f")


def _failures() -> Iterator[tuple[str, dict[str, str | None]]]:
    yield "a failed run that carries a trace", {**_FAILED, "trace": f"[{ENTRY}]", "nodesExecuted": "1"}
    yield "a timed-out run that carries a trace", {
        **_FAILED, "status": "timeout", "errorCode": "DSL_TIMEOUT", "trace": f"[{ENTRY},{ENTRY}]", "nodesExecuted": "2",
        "durationMs": "512.5",
    }  # fmt: skip
    yield "a failed run whose trace is SQL NULL", {**_FAILED, "trace": None}
    yield "a failed run without an error code", {**_FAILED, "errorCode": None}
    yield "a status that nobody knows", {**_FAILED, "status": "cancelled?"}
    yield "an error code that is a class name", {**_FAILED, "errorCode": "DslExecutionError"}
    yield "an error code with markup", {**_FAILED, "errorCode": "<b>DSL</b>'; --"}
    yield "a failed run that says it was sampled", {**_FAILED, "sampled": "t"}
    yield "an ok run that says it was not sampled", {"sampled": "f"}
    yield "an ok run with an error code", {"errorCode": "DSL_TIMEOUT"}
    yield "a failed run with points", {**_FAILED, "points": "12", "caseName": "Ghost"}
    yield "free text in the notes", {"notes": 'replayed by hand,\n"see" ticket; trace truncated: soon -> maybe'}
    yield (
        "a trace cut to 200 entries",
        {
            "trace": "[" + ",".join([ENTRY] * 200) + "]",
            "nodesExecuted": "512",
            "notes": "trace truncated: 512 -> 200 entries",
        },
    )


def _texts() -> Iterator[tuple[str, dict[str, str | None]]]:
    tricky = "a\tb\nc\r\nd\"e'f\\g\\Nh\x01i\x02j,k;l\u2028m🎈"
    yield (
        "every text holds tabs, newlines, quotes, backslashes and separators",
        dict.fromkeys(
            ("caseName", "notes", "externalGameId", "externalTaskId", "externalUserId", "apiKey_used"), tricky
        ),
    )
    yield "a case name is exactly \\N", {"caseName": "\\N"}
    yield "a case name is \\.", {"caseName": "\\."}
    yield "a case name is an empty text", {"caseName": ""}
    yield "a case name is the text NULL", {"caseName": "NULL"}
    yield "an external user is an empty text", {"externalUserId": ""}
    yield "no coordinates at all", dict.fromkeys(("externalGameId", "externalTaskId", "externalUserId"))
    yield "the strategy id is no uuid", {"strategyId": "custom:<b>é</b>/../1"}
    yield "one strategy id, version 1", {"strategyId": "two-versions", "strategyVersion": "1"}
    yield "one strategy id, version 2", {"strategyId": "two-versions", "strategyVersion": "2"}
    yield "a person's id", {"oauth_user_id": "auth0|somebody@example.org", "apiKey_used": None}
    yield "a strategy type that nobody knows", {"strategyType": "DSL_FUTURE"}


def _realms() -> Iterator[tuple[str, dict[str, str | None]]]:
    names: tuple[tuple[str, str | None], ...] = (
        ("NULL", None),
        ("an empty text", ""),
        ("a dot", "."),
        ("two dots", ".."),
        ("a path", "a/b"),
        ("a path that leaves the lake", "../../etc"),
        ("a key and a value", "x=y"),
        ("percent-encoded", "%2F"),
        ("a number with leading zeros", "007"),
        ("a date", "2025-01-01"),
        ("what Hive writes for NULL", "__HIVE_DEFAULT_PARTITION__"),
        ("the text NULL", "NULL"),
        ("300 characters", "long-" * 60),
        ("200 characters that are not ASCII", "Ωж" * 100),
        ("a name in capitals", "Acme"),
        ("the same name in small letters", "acme"),
        ("quotes", 'it\'s "quoted"'),
        ("a newline", "two\nlines"),
        ("emoji", "🎈🎉"),
        ("a blank at each end", " padded "),
        ("a backslash", "back\\slash"),
        ("composed é", "caf\u00e9"),
        ("decomposed é", "cafe\u0301"),
    )
    for words, name in names:
        yield f"the realm is {words}", {"realmId": name}


def _times(until: date) -> Iterator[tuple[str, dict[str, str | None]]]:
    day = until - timedelta(days=2)
    for words, text in (
        ("NULL", None),
        ("infinity", "infinity"),
        ("-infinity", "-infinity"),
        ("before Christ", "0044-03-15 12:00:00+00 BC"),
        ("in the year 20000", "20000-01-01 00:00:00+00"),
        ("the epoch", "1970-01-01 00:00:00+00"),
        ("before the epoch", "1969-12-31 23:59:59.999999+00"),
        ("the first microsecond of a day", f"{day} 00:00:00+00"),
        ("the last microsecond of a day", f"{day} 23:59:59.999999+00"),
        ("midnight of the day after", f"{day + timedelta(days=1)} 00:00:00+00"),
        ("another day in its own zone", f"{day} 23:30:00-05"),
    ):
        yield f"created_at is {words}", {"created_at": text, "updated_at": text}


def edge_cases(until: date) -> list[EdgeCase]:
    """Every odd row; those with an ordinary time lie two days before `until`."""
    noon = datetime(until.year, until.month, until.day, 12, tzinfo=UTC) - timedelta(days=2)
    named: list[tuple[str, dict[str, str | None]]] = [
        *((why, {"trace": trace, "nodesExecuted": "1"}) for why, trace in (*SHAPES, *VALUES)),
        *_points(),
        *_failures(),
        *_texts(),
        *_realms(),
        *_times(until),
    ]
    found = []
    for number, (why, values) in enumerate(named):
        moment = (noon + timedelta(seconds=number)).isoformat()
        usual: dict[str, str | None] = {
            **dict.fromkeys(COLUMNS),
            "id": str(uuid.uuid5(_NAMESPACE, why)),
            "created_at": moment,
            "updated_at": moment,
            "strategyId": "quirk-strategy",
            "strategyVersion": "1",
            "strategyType": "DSL_FULL",
            "realmId": REALM,
            "externalGameId": "quirk-game",
            "externalTaskId": "quirk-task",
            "externalUserId": "quirk-user",
            "status": "ok",
            "points": "1",
            "caseName": "Quirk",
            "durationMs": "1.5",
            "nodesExecuted": "1",
            "trace": entry(1),
            "sampled": "t",
        }
        found.append(EdgeCase(why, {**usual, **values}))
    return found
