"""Traces that the interpreter does not write, or hardly ever, but that the column can hold: (why, JSON text)."""

from __future__ import annotations

import json
from typing import Any, Final

ENTRY: Final = '{"nodeId":"n1","type":"literal","value":1}'
DIGITS_300: Final = "9" * 300


def entry(value: Any, node_id: Any = "n1", kind: str = "literal", **more: Any) -> str:
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
