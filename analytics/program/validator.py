"""What the engine's validator refuses: a program that is stored may be one, where it was written past the validator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from analytics.program.evaluate import MAX_DEPTH, MAX_NODES

_WITHIN: Final[Mapping[str, frozenset[str]]] = {
    "assign_points": frozenset({"rules", "default"}),
    "set_callback_data": frozenset({"rules", "default", "pre_rules", "post_rules"}),
    "return": frozenset({"rules", "default", "pre_rules", "post_rules"}),
    "set_data": frozenset({"pre_rules"}),
    "veto": frozenset({"pre_rules"}),
    "set_points": frozenset({"post_rules"}),
    "set_case_name": frozenset({"post_rules"}),
}
"""Statement → sections in which it may stand. At run time the engine looks at none of this."""
_BARE: Final = frozenset({"literal", "field"})
_OPERANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": (),
    "field": (),
    "not": ("arg",),
    "and": ("args",),
    "or": ("args",),
    "compare": ("left", "right"),
    "arith": ("left", "right"),
    "func_call": ("args",),
}
_CONDITIONS: Final = frozenset({"not", "and", "or"})
"""Their operands are conditions."""


class _Place(NamedTuple):
    """A node, its nesting, and what it stands for: ``rule``, ``branch``, ``statement``, ``condition`` or ``expression``."""

    node: Any
    depth: int
    role: str
    section: str


def refusal(ast: Any) -> str:
    """Why the validator refuses a program, in a clause; empty where nothing of what can be known here makes it.

    It counts the whole program, read by a run or not: itself, rules, `else if` branches and all nodes, a bare literal or field
    as a condition twice. A rule's nesting is 1, that of a condition and of a statement 2, of an operand one more.
    """
    if not isinstance(ast, Mapping):
        return "it is no object"
    count, deepest = 1, 0
    stack = [*_tops(ast)]
    while stack:
        place = stack.pop()
        count, deepest = count + 1, max(deepest, place.depth)
        node, kind = place.node, place.node.get("type") if isinstance(place.node, Mapping) else None
        if not isinstance(node, Mapping):
            return f"a {place.role} is no object"
        if place.role in ("rule", "branch"):
            stack += _of_rule(place)
        elif place.role == "statement":
            if not isinstance(kind, str) or kind not in _WITHIN:
                return f"it holds a statement of the unknown type {_named(kind)}"
            if place.section not in _WITHIN[kind]:
                return f"{kind} stands in {place.section}, where it may not"
            if kind not in ("veto", "return"):
                stack.append(_Place(node.get("value"), place.depth + 1, "expression", place.section))
        elif not isinstance(kind, str) or kind not in _OPERANDS:
            return f"it holds a node of the unknown type {_named(kind)}"
        else:
            count += place.role == "condition" and kind in _BARE
            stack += _operands(place, kind)
    if deepest > MAX_DEPTH:
        return f"it nests {deepest:,} deep, and {MAX_DEPTH} is the most"
    return f"it has {count:,} nodes, and {MAX_NODES:,} is the most" if count > MAX_NODES else ""


def _tops(ast: Mapping[str, Any]) -> Iterator[_Place]:
    for section in ("rules", "pre_rules", "post_rules"):
        for rule in _list(ast.get(section)):
            yield _Place(rule, 1, "rule", section)
    default = ast.get("default")
    for step in default if isinstance(default, list) else [] if default is None else [default]:
        yield _Place(step, 1, "statement", "default")


def _of_rule(place: _Place) -> Iterator[_Place]:
    """What hangs under a rule or one of its branches, which nest no deeper than the rule."""
    node, depth, section = place.node, place.depth + 1, place.section
    yield _Place(node.get("when"), depth, "condition", section)
    for step in [*_list(node.get("then")), *_list(node.get("else"))]:
        yield _Place(step, depth, "statement", section)
    for branch in _list(node.get("else_if")):
        yield _Place(branch, place.depth, "branch", section)


def _operands(place: _Place, kind: str) -> Iterator[_Place]:
    role = "condition" if kind in _CONDITIONS else "expression"
    for slot in _OPERANDS[kind]:
        found = place.node.get(slot)
        for operand in _list(found) if slot == "args" else [found]:
            yield _Place(operand, place.depth + 1, role, place.section)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named(kind: Any) -> str:
    text = str(kind)
    return f"“{text if len(text) <= 60 else text[:59] + '…'}”"
