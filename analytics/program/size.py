"""How large a run of a program can get at most: a static count over its AST, which has no loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from analytics.program.exact import EFFECTS, ENDINGS, SETTING, section_of
from analytics.program.outcome import Phase
from analytics.storage.typed_json import Json, JsonObject

_BARE: Final = frozenset({"veto", "return"})
#: Type → where its operands stand, and whether they are conditions.
_CONDITIONS: Final[Mapping[str, tuple[tuple[str, ...], bool]]] = {
    "not": (("arg",), True),
    "and": (("args",), True),
    "or": (("args",), True),
    "compare": (("left", "right"), False),
}
_EXPRESSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": (),
    "field": (),
    "arith": ("left", "right"),
    "func_call": ("args",),
}


@dataclass(frozen=True, slots=True)
class Size:
    """What no run of a program can exceed.

    Attributes:
        entries_max: Trace entries of the longest run, both phases of a DSL_EXTEND together; compare with `nodes_executed`.
        visits_max: Visits of the longest phase, the number that the engine's node cap looks at. Besides entries it counts
            the program, `else_if` branches, and a condition that is a mere expression (a bare literal or field) a second
            time, so it is somewhat larger.
        depth: Nesting of the deepest node by the count that the engine's depth cap (32) looks at: the program is 0, a rule
            1, its conditions, those of `else_if` among them, and statements 2, each operand one more than its operator.
            Literals' values are data, whatever they look like.
        reason: Why nothing is known; None when all is. Then the others are None.
    """

    entries_max: int | None
    visits_max: int | None
    depth: int | None
    reason: str | None = None

    def entries_at(self, cap: float) -> float:
        """Trace entries with which a run is about to meet a cap on visits: the log has entries, the cap counts visits.

        In proportion to the longest run, which is exact for that one, and holds for both phases of a DSL_EXTEND as well, each
        of which has the cap to itself. The cap itself where the size is not known.
        """
        return cap * self.entries_max / self.visits_max if self.entries_max and self.visits_max else cap


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


def size(ast: Json, *, extends: bool | None = None) -> Size:
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


class _Block(NamedTuple):
    """Statements in a row: what they add, whether they end the program, and whether they set its result."""

    most: _Most
    ends: bool
    sets: bool


def _phase(ast: JsonObject, phase: Phase) -> _Most:
    name = section_of(phase)
    default = ast.get("default") if phase == "full" else None
    # What can still come, before any statement has set the result and after one has.
    unset, done = _NOTHING if default is None else _block([default], 1, "default").most, _NOTHING
    # From the last rule to the first: what can come after a rule is known when its ways out are compared.
    for index, rule in reversed(list(enumerate(_list(ast.get(name), name)))):
        ways = _ways(rule, f"{name}[{index}]")
        unset = _longest(way.most if way.ends else way.most.then(done if way.sets else unset) for way in ways)
        done = _longest(way.most if way.ends else way.most.then(done) for way in ways)
    return _Most(0, 1, 0).then(unset)


def _longest(ways: Iterable[_Most]) -> _Most:
    longest = _NOTHING
    for way in ways:
        longest |= way
    return longest


def _ways(rule: Json, place: str) -> list[_Block]:
    """Every way out of a rule."""
    if not isinstance(rule, Mapping):
        raise _Malformed(f"{place} is not an object")
    # The rule's own entry and visit, which every way leaves.
    spent = _Most(1, 1, 1).then(_condition(rule.get("when"), 2, f"{place}.when"))
    ways = [(spent, rule.get("then"), "then")]
    for index, branch in enumerate(_list(rule.get("else_if"), f"{place}.else_if")):
        within = f"else_if[{index}]"
        if not isinstance(branch, Mapping):
            raise _Malformed(f"{place}.{within} is not an object")
        tested = _condition(branch.get("when"), 2, f"{place}.{within}.when")
        spent = spent.then(_Most(0, 1, 1)).then(tested)
        ways.append((spent, branch.get("then"), f"{within}.then"))
    ways.append((spent, rule.get("else"), "else"))
    found = []
    for before, steps, within in ways:
        block = _block(_list(steps, f"{place}.{within}"), 2, f"{place}.{within}")
        found.append(block._replace(most=before.then(block.most)))
    return found


def _block(steps: Sequence[Json], depth: int, place: str) -> _Block:
    most, sets = _NOTHING, False
    for index, step in enumerate(steps):
        kind = step.get("type") if isinstance(step, Mapping) else None
        if not isinstance(step, Mapping) or not isinstance(kind, str) or kind not in EFFECTS.keys() | _BARE:
            raise _Malformed(f"{place}[{index}] is no statement the engine knows")
        most, sets = most.then(_Most(1, 1, depth)), sets or kind in SETTING
        if kind in EFFECTS:
            most = most.then(_nodes(step.get("value"), depth + 1, f"{place}[{index}].value", is_condition=False))
        if kind in ENDINGS:
            return _Block(most, True, sets)
    return _Block(most, False, sets)


def _condition(node: Json, depth: int, place: str) -> _Most:
    return _nodes(node, depth, place, is_condition=True)


def _nodes(node: Json, depth: int, place: str, *, is_condition: bool) -> _Most:
    """Nodes of a condition or an expression; each leaves one entry. Without recursion, for authors nest as they like."""
    entries, visits, deepest, stack = 0, 0, depth, [(node, depth, is_condition)]
    while stack:
        found, level, is_tested = stack.pop()
        kind = found.get("type") if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping) or not isinstance(kind, str):
            raise _Malformed(f"{place} holds no node")
        if is_tested and kind in _CONDITIONS:
            slots, are_tested, bare = *_CONDITIONS[kind], 0
        elif kind in _EXPRESSIONS:
            slots, are_tested, bare = _EXPRESSIONS[kind], False, int(is_tested)
        else:
            raise _Malformed(f"{place} holds no {'condition' if is_tested else 'expression'} the engine knows")
        entries, visits, deepest = entries + 1, visits + 1 + bare, max(deepest, level)
        for slot in slots:
            below = found.get(slot)
            if slot == "args" and not isinstance(below, list):
                raise _Malformed(f"{place} has a {kind} without a list of args")
            operands = below if slot == "args" and isinstance(below, list) else [below]
            stack.extend((operand, level + 1, are_tested) for operand in operands)
    return _Most(entries, visits, deepest)


def _list(value: Json, place: str) -> list[Json]:
    if not value:
        return []
    if not isinstance(value, list):
        raise _Malformed(f"{place} is not a list")
    return value
