"""Whether a run of a program may fail at all, whatever its event holds: a look at its nodes, which never says no wrongly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from analytics.program.evaluate import MAX_DEPTH, MAX_NODES
from analytics.program.outcome import is_number
from analytics.program.size import size
from analytics.program.walk import outline
from analytics.storage.typed_json import Json, JsonObject

_Kind: TypeAlias = Literal["number", "text"] | None
"""What a value surely is; None where that depends on the event, or it is something else."""
_NO_ORDER_NEEDED: Final = ("==", "!=")
_LARGE: Final = 1e100
"""Calculations with literals below it stay within a float."""
_NEVER: Final = frozenset(
    {"rule", "literal", "field", "and", "or", "not", "set_data", "set_callback_data", "veto", "return"}
)
"""Types of nodes that no value makes fail: any value counts as true or false, and may be kept."""


def may_fail(ast: JsonObject, *, wraps_builtin: bool) -> bool:
    """Whether some event may make a run fail: a text where a number is needed, a division by zero, more nodes than are allowed.

    Args:
        ast: A program that the validator takes.
        wraps_builtin: It asks a built-in, which may fail as well.
    """
    if wraps_builtin:
        return True
    found = size(ast, extends=False)
    if found.visits_max is None or found.depth is None or found.visits_max > MAX_NODES or found.depth > MAX_DEPTH:
        return True
    return any(_may_fail(spot.node) for spot in outline(ast).spots)


def _may_fail(node: Json) -> bool:
    kind = node.get("type") if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping) or not isinstance(kind, str):
        # A rule may go without its type; what it holds is looked at by itself.
        return not (isinstance(node, Mapping) and "when" in node)
    if kind in _NEVER:
        return False
    if kind == "compare":
        left, right = _kind(node.get("left")), _kind(node.get("right"))
        return node.get("op") not in _NO_ORDER_NEEDED and not (left is not None and left == right)
    if kind == "arith":
        return _kind(node) != "number"
    if kind in ("assign_points", "set_points"):
        return _kind(node.get("value")) != "number"
    if kind == "set_case_name":
        return _kind(node.get("value")) != "text"
    return True


def _kind(node: Json) -> _Kind:
    if not isinstance(node, Mapping):
        return None
    if node.get("type") == "arith":
        ends = [_literal(node.get(side)) for side in ("left", "right")]
        is_safe = None not in ends and not (node.get("op") == "/" and ends[1] == 0)
        return "number" if is_safe else None
    value = node.get("value")
    if node.get("type") != "literal":
        return None
    return "text" if isinstance(value, str) else "number" if _literal(node) is not None else None


def _literal(node: Json) -> float | None:
    """The number that a literal is, where it is an ordinary one."""
    value = node.get("value") if isinstance(node, Mapping) and node.get("type") == "literal" else None
    return value if is_number(value) and math.isfinite(value) and abs(value) < _LARGE else None
