"""Short words to write rule programs with; each returns a node of the AST."""

from __future__ import annotations

from typing import Any, TypeAlias

from analytics.storage.typed_json import Json

Node: TypeAlias = dict[str, Any]
"""A node of a program while it is written."""


def lit(value: Json) -> Node:
    """A literal."""
    return {"type": "literal", "value": value}


def field(path: str) -> Node:
    """A field of the event, the user, the task or the parent."""
    return {"type": "field", "path": path}


def compare(left: str | Node, op: str, right: Json) -> Node:
    """A comparison; a text on the left is a field path, a plain value on the right a literal."""
    return {"type": "compare", "op": op, "left": _field(left), "right": _literal(right)}


def arith(left: str | Node, op: str, right: Json) -> Node:
    """Arithmetic, with the same shorthands as `compare`."""
    return {"type": "arith", "op": op, "left": _field(left), "right": _literal(right)}


def call(name: str, *args: Json) -> Node:
    """A function call; plain values become literals."""
    return {"type": "func_call", "name": name, "args": [_literal(arg) for arg in args]}


def all_of(*args: Node) -> Node:
    """A conjunction."""
    return {"type": "and", "args": list(args)}


def any_of(*args: Node) -> Node:
    """A disjunction."""
    return {"type": "or", "args": list(args)}


def negate(arg: Node) -> Node:
    """A negation."""
    return {"type": "not", "arg": arg}


def assign(value: Json, case_name: str | None) -> Node:
    """Pay points under a case and end."""
    return {"type": "assign_points", "value": _literal(value), "case_name": case_name}


def note(key: str, value: Json) -> Node:
    """Add to the callback data."""
    return {"type": "set_callback_data", "key": key, "value": _literal(value)}


def effect(kind: str, value: Json, key: str | None = None) -> Node:
    """`set_data` (with a key), `set_points` or `set_case_name`."""
    node: Node = {"type": kind, "value": _literal(value)}
    return node if key is None else {**node, "key": key}


def veto(case_name: str) -> Node:
    """End before the parent runs."""
    return {"type": "veto", "case_name": case_name}


def halt() -> Node:
    """End without a result."""
    return {"type": "return"}


def rule(
    when: Node,
    *then: Node,
    node_id: str | None = None,
    else_if: list[Node] | None = None,
    otherwise: list[Node] | None = None,
) -> Node:
    """A rule; `else_if` takes what `branch` returns."""
    node: Node = {"type": "rule", "when": when, "then": list(then)}
    if node_id is not None:
        node["id"] = node_id
    if else_if:
        node["else_if"] = else_if
    if otherwise:
        node["else"] = otherwise
    return node


def branch(when: Node, *then: Node) -> Node:
    """One `else_if`."""
    return {"when": when, "then": list(then)}


def ladder(path: str, step: int, rungs: int, start: int = 0) -> Node:
    """`path <= start + step or path <= start + 2 * step or …`: the higher the value, the more entries a run leaves.

    This is how real programs grow: an author copies the last line and changes a number.
    """
    return any_of(*(compare(path, "<=", start + step * index) for index in range(1, rungs + 1)))


def _field(value: str | Node) -> Node:
    return field(value) if isinstance(value, str) else value


def _literal(value: Json) -> Node:
    """A node as it is, anything else as a literal."""
    return value if isinstance(value, dict) and "type" in value else lit(value)
