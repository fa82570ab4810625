"""How large a run of a program can get at most: a static count over its AST, which has no loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from analytics.program.exact import PHASE_OF
from analytics.program.outcome import Phase
from analytics.program.rules import listed

_ENDINGS: Final = frozenset({"assign_points", "veto", "return"})
_BARE: Final = frozenset({"veto", "return"})
_EFFECTS: Final = frozenset({"assign_points", "set_points", "set_case_name", "set_callback_data", "set_data"})
_OPERANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": (),
    "field": (),
    "not": ("arg",),
    "compare": ("left", "right"),
    "arith": ("left", "right"),
    "and": ("args",),
    "or": ("args",),
    "func_call": ("args",),
}


@dataclass(frozen=True, slots=True)
class Size:
    """What no run of a program can exceed.

    Attributes:
        entries_max: Trace entries of the longest run, both phases of a DSL_EXTEND together; compare with `nodes_executed`.
        visits_max: Visits of the longest phase, the number that the engine's node cap looks at. Besides entries it counts
            the program and `else_if` branches, so it is somewhat larger.
        depth: Nesting of the deepest node by the count that the engine's depth cap (32) looks at: the program is 0, a rule
            1, its condition and statements 2, an `else_if`'s condition 3, each operand one more than its operator. Literals'
            values are data, whatever they look like.
        reason: Why nothing is known; None when all is. Then the others are None.
    """

    entries_max: int | None
    visits_max: int | None
    depth: int | None
    reason: str | None = None


class _Most(NamedTuple):
    """The most entries, visits and nesting of a part; of alternatives each is taken by itself: an upper bound."""

    entries: int
    visits: int
    depth: int

    def then(self, other: _Most) -> _Most:
        return _Most(self.entries + other.entries, self.visits + other.visits, max(self.depth, other.depth))

    def __or__(self, other: _Most) -> _Most:
        return _Most(*(max(pair) for pair in zip(self, other, strict=True)))


_NOTHING: Final = _Most(0, 0, 0)


class _Malformed(Exception):  # noqa: N818 - it is control flow inside the count and never reaches a caller
    """The engine would fail there, so no size can be told."""


def size(ast: Any, *, extends: bool | None = None) -> Size:
    """The size of a program, from its AST alone. Never raises on an odd shape.

    It is that of the longest way through: every condition is evaluated to its end, and of the ways out of a rule the longest
    is taken, whether an event can take it or not. Nothing repeats, so a run of this version can never be longer.

    Args:
        ast: The program as its author's JSON holds it.
        extends: Whether the strategy is a DSL_EXTEND; None goes by whether there are rules before or after a parent.
    """
    if not isinstance(ast, Mapping):
        return Size(None, None, None, "the program is not an object")
    if extends is None:
        extends = bool(ast.get("pre_rules")) or bool(ast.get("post_rules"))
    wanted: tuple[Phase, ...] = ("pre", "post") if extends else ("full",)
    try:
        # A DSL_EXTEND without rules of a phase does not run that phase at all.
        phases = [_phase(ast, phase) for phase in wanted if not extends or ast.get(f"{phase}_rules")]
    except _Malformed as error:
        return Size(None, None, None, str(error))
    return Size(
        sum(phase.entries for phase in phases),
        max((phase.visits for phase in phases), default=0),
        max((phase.depth for phase in phases), default=0),
    )


def _phase(ast: Mapping[str, Any], phase: Phase) -> _Most:
    name = "rules" if phase == "full" else f"{phase}_rules"
    default = ast.get("default") if phase == "full" else None
    steps = default if isinstance(default, list) else [] if default is None else [default]
    rest, _ = _block(steps, 1, phase, "default")
    # From the last rule to the first: what can come after a rule is known when its ways out are compared.
    for index, rule in reversed(list(enumerate(_list(ast.get(name), name)))):
        place = f"{name}[{index}]"
        longest = _NOTHING
        for way, ends in _ways(rule, phase, place):
            longest |= way if ends else way.then(rest)
        rest = longest
    return _Most(0, 1, 0).then(rest)


def _ways(rule: Any, phase: Phase, place: str) -> list[tuple[_Most, bool]]:
    """Every way out of a rule, and whether the program ends there."""
    if not isinstance(rule, Mapping):
        raise _Malformed(f"{place} is not an object")
    # The rule's own entry and visit, which every way leaves.
    spent = _Most(1, 1, 1).then(_expression(rule.get("when"), 2, f"{place}.when"))
    ways = [(spent, rule.get("then"), "then")]
    for index, branch in enumerate(_list(rule.get("else_if"), f"{place}.else_if")):
        within = f"else_if[{index}]"
        if not isinstance(branch, Mapping):
            raise _Malformed(f"{place}.{within} is not an object")
        tested = _expression(branch.get("when"), 3, f"{place}.{within}.when")
        spent = spent.then(_Most(0, 1, 2)).then(tested)
        ways.append((spent, branch.get("then"), f"{within}.then"))
    ways.append((spent, rule.get("else"), "else"))
    found = []
    for before, steps, within in ways:
        block, ends = _block(_list(steps, f"{place}.{within}"), 2, phase, f"{place}.{within}")
        found.append((before.then(block), ends))
    return found


def _block(steps: Sequence[Any], depth: int, phase: Phase, place: str) -> tuple[_Most, bool]:
    most = _NOTHING
    for index, step in enumerate(steps):
        kind = step.get("type") if isinstance(step, Mapping) else None
        known = isinstance(kind, str) and kind in _EFFECTS | _BARE and PHASE_OF.get(kind, phase) == phase
        if not known:
            raise _Malformed(f"{place}[{index}] is no statement of the {phase} phase")
        most = most.then(_Most(1, 1, depth))
        if kind in _EFFECTS:
            most = most.then(_expression(step.get("value"), depth + 1, f"{place}[{index}].value"))
        if kind in _ENDINGS:
            return most, True
    return most, False


def _expression(node: Any, depth: int, place: str) -> _Most:
    """Nodes of an expression: each is visited once and leaves one entry. Without recursion, for authors nest as they like."""
    count, deepest, stack = 0, depth, [(node, depth)]
    while stack:
        found, level = stack.pop()
        kind = found.get("type") if isinstance(found, Mapping) else None
        if not isinstance(kind, str) or kind not in _OPERANDS:
            raise _Malformed(f"{place} holds no expression the engine knows")
        count, deepest = count + 1, max(deepest, level)
        for slot in _OPERANDS[kind]:
            below = found.get(slot)
            if slot == "args" and not isinstance(below, list):
                raise _Malformed(f"{place} has a {kind} without a list of args")
            stack.extend((operand, level + 1) for operand in (below if slot == "args" else (below,)))
    return _Most(count, count, deepest)


def _list(value: Any, place: str) -> list[Any]:
    found = listed(value)
    if found is None:
        raise _Malformed(f"{place} is not a list")
    return found
