"""Two versions of a program, node by node: what stayed, what changed, what came, went or moved.

Ids are no help: one rule inserted shifts every generated id behind it. Nodes are paired by content and by place instead: rules
that are the same first, then those moved, then those that are most alike; within a pair of rules by their slots.

A version is more than its nodes: the built-in that it wraps and the variables it asks it with are compared, too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final, Literal, TypeAlias

from analytics.program.outcome import same_json
from analytics.program.validator import BuiltIn, built_in
from analytics.program.walk import Outline, ProgramNode
from analytics.storage.typed_json import Json

EditKind = Literal["changed", "replaced", "added", "removed", "moved"]

#: What an author calls the attributes of a node.
_ATTRIBUTES: Final = (
    ("path", "field"),
    ("op", "operator"),
    ("name", "function"),
    ("case_name", "case"),
    ("key", "key"),
)
_Content: TypeAlias = tuple[tuple[str | None, ...], tuple[tuple[str, int], ...]]
"""What a node says by itself, and the numbers of what hangs under it, by slot."""
#: Two rules with less in common than this are two rules, not one that changed.
_ALIKE: Final = 0.3
_INDEX: Final = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference.

    Attributes:
        kind: What happened.
        what: The attribute (`literal`, `field`, `operator`, `case`, …), or the node's type for whole nodes; `built-in` and
            `variable` for what the program wraps.
        old, new: The attribute's values as JSON text; None where there is none.
        old_position, new_position: Of the node in the two walks; None on the side that lacks it, and for what is no node.
        size: Nodes that came, went or moved with it; 1 for a changed one.
        name: Of the variable.
    """

    kind: EditKind
    what: str
    old: str | None
    new: str | None
    old_position: int | None
    new_position: int | None
    size: int = 1
    name: str | None = None

    @property
    def is_of_node(self) -> bool:
        """It is about a node of the rules, not about the built-in around which they are."""
        return self.old_position is not None or self.new_position is not None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two programs beside each other.

    Attributes:
        pairs: Position in the old walk → position in the new one, for nodes of the same type at the same place.
        edits: The differences: what is wrapped first, then in the order of the new program; what was removed comes last.
        same_count: Nodes that say the same in both; whether they moved does not matter.
    """

    pairs: dict[int, int] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)
    same_count: int = 0


def compare(old: Outline, new: Outline, wraps: tuple[BuiltIn, BuiltIn] | None = None) -> Comparison:
    """Pair the nodes of two programs, and compare what they wrap. Never raises on an odd shape.

    Args:
        old, new: The programs.
        wraps: The built-ins of both; without, their variables are compared, which stand in the programs.
    """
    work = _Work(old, new)
    for section in ("pre_rules", "rules", "post_rules"):
        work.rules(_tops(old, section), _tops(new, section))
    work.lists(_tops(old, "default"), _tops(new, "default"))
    work.drain()
    edits = sorted(
        work.edits, key=lambda edit: (edit.new_position is None, edit.new_position or 0, edit.old_position or 0)
    )
    changed = {edit.new_position for edit in edits if edit.kind == "changed"}
    around = _around(*(wraps or (built_in(old.program), built_in(new.program))))
    return Comparison(work.pairs, [*around, *edits], sum(position not in changed for position in work.pairs.values()))


def _around(old: BuiltIn, new: BuiltIn) -> list[Edit]:
    """What differs in what two programs wrap: the built-in first, then its variables by name."""
    edits = []
    if old.strategy_id != new.strategy_id:
        ids = [None if one.strategy_id is None else _text(one.strategy_id) for one in (old, new)]
        edits.append(Edit("changed", "built-in", ids[0], ids[1], None, None))
    for name in sorted(old.variables.keys() | new.variables.keys()):
        was, now = (_text(one.variables[name]) if name in one.variables else None for one in (old, new))
        if was is None or now is None or not same_json(old.variables[name], new.variables[name]):
            kind: EditKind = "added" if was is None else "removed" if now is None else "changed"
            edits.append(Edit(kind, "variable", was, now, None, None, name=name))
    return edits


def _tops(program: Outline, section: str) -> list[ProgramNode]:
    return [spot for slot, spot in program.tops.items() if slot.partition("[")[0] == section]


class _Work:
    """Pairs that were found and pairs that are still to be looked into; a stack, as authors nest without bound."""

    def __init__(self, old: Outline, new: Outline) -> None:
        prints: dict[_Content, int] = {}
        self.print_of = {id(spot): number for program in (old, new) for spot, number in _prints(program, prints)}
        self.pairs: dict[int, int] = {}
        self.edits: list[Edit] = []
        self.waiting: list[tuple[ProgramNode, ProgramNode]] = []

    def rules(self, old: list[ProgramNode], new: list[ProgramNode]) -> None:
        """Pair rules: the same ones in their order, the same ones elsewhere, then those most alike."""
        left, right = [self.print_of[id(spot)] for spot in old], [self.print_of[id(spot)] for spot in new]
        rest_old, rest_new = set(range(len(old))), set(range(len(new)))
        for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
            for step in range(block.size):
                self._settle(old, new, block.a + step, block.b + step, rest_old, rest_new)
        for there in sorted(rest_new):
            here = next((index for index in sorted(rest_old) if left[index] == right[there]), None)
            if here is not None:
                self._settle(old, new, here, there, rest_old, rest_new)
                self.edits.append(_whole("moved", old[here], new[there]))
        likeness = sorted(
            (
                (_likeness(old[here], new[there]), -abs(here - there), here, there)
                for here in rest_old
                for there in rest_new
            ),
            reverse=True,
        )
        for alike, _, here, there in likeness:
            if alike >= _ALIKE and here in rest_old and there in rest_new:
                self._settle(old, new, here, there, rest_old, rest_new)
        self.edits += [_whole("removed", old[index], None) for index in rest_old]
        self.edits += [_whole("added", None, new[index]) for index in rest_new]

    def _settle(
        self,
        old: list[ProgramNode],
        new: list[ProgramNode],
        here: int,
        there: int,
        rest_old: set[int],
        rest_new: set[int],
    ) -> None:
        rest_old.discard(here)
        rest_new.discard(there)
        self.waiting.append((old[here], new[there]))

    def lists(self, old: Sequence[ProgramNode], new: Sequence[ProgramNode]) -> None:
        """Pair two lists of statements or arguments."""
        left, right = [self.print_of[id(spot)] for spot in old], [self.print_of[id(spot)] for spot in new]
        for tag, a0, a1, b0, b1 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            if tag == "equal":
                self.waiting += zip(old[a0:a1], new[b0:b1], strict=True)
                continue
            gone, come = list(old[a0:a1]), list(new[b0:b1])
            for spot in list(gone):
                partner = next((other for other in come if other.kind == spot.kind), None)
                if partner is not None:
                    gone.remove(spot)
                    come.remove(partner)
                    self.waiting.append((spot, partner))
            self.edits += [_whole("removed", spot, None) for spot in gone]
            self.edits += [_whole("added", None, spot) for spot in come]

    def drain(self) -> None:
        """Look into every pair, and into the pairs that this finds."""
        while self.waiting:
            old, new = self.waiting.pop()
            self.pairs[old.position] = new.position
            self.edits += [
                Edit("changed", what, before, after, old.position, new.position)
                for what, before, after in _differences(old, new)
            ]
            groups_old, groups_new = _groups(old), _groups(new)
            for slot in dict.fromkeys((*groups_old, *groups_new)):
                here, there = groups_old.get(slot, []), groups_new.get(slot, [])
                if slot in old.below and slot in new.below and here[0].kind != there[0].kind:
                    # One place, one node: another kind of node there is an answer to "what became of it?".
                    self.edits.append(_whole("replaced", here[0], there[0]))
                else:
                    self.lists(here, there)


def _groups(spot: ProgramNode) -> dict[str, list[ProgramNode]]:
    """Children by list: `then[0]` and `then[1]` are of one list, `left` is a list of its own."""
    found: dict[str, list[ProgramNode]] = {}
    for slot, child in spot.below.items():
        found.setdefault(_INDEX.sub("", slot), []).append(child)
    return found


def own(spot: ProgramNode) -> tuple[str | None, ...]:
    """What a node says by itself, without its id and without what hangs under it."""
    words = [_text(spot.node.get(name)) if name in spot.node else None for name, _ in _ATTRIBUTES]
    literal = _text(spot.node.get("value")) if spot.kind == "literal" else None
    return (spot.kind, literal, *words)


def _prints(program: Outline, known: dict[_Content, int]) -> list[tuple[ProgramNode, int]]:
    """A number per distinct content: equal numbers, equal subtrees. Children come after their parents in the walk."""
    numbers: dict[int, int] = {}
    for spot in reversed(program.spots):
        content = (own(spot), tuple((slot, numbers[id(child)]) for slot, child in spot.below.items()))
        numbers[id(spot)] = known.setdefault(content, len(known))
    return [(spot, numbers[id(spot)]) for spot in program.spots]


def subtree(spot: ProgramNode) -> list[ProgramNode]:
    """A node and all under it, in walk order."""
    found, stack = [], [spot]
    while stack:
        here = stack.pop()
        found.append(here)
        stack.extend(reversed(here.below.values()))
    return found


def _likeness(old: ProgramNode, new: ProgramNode) -> float:
    """Share of the nodes that both rules have (Dice's coefficient of the nodes' contents); authors' ids count like a node."""
    left, right = (Counter([own(spot) for spot in subtree(top)]) for top in (old, new))
    left_id, right_id = old.node_id, new.node_id
    same_name = isinstance(left_id, str) and left_id == right_id and not left_id.startswith("root.")
    return (2 * ((left & right).total() + 2 * same_name)) / (left.total() + right.total() + 4 * same_name)


def _differences(old: ProgramNode, new: ProgramNode) -> list[tuple[str, str | None, str | None]]:
    found: list[tuple[str, str | None, str | None]] = []
    if old.kind == new.kind == "literal" and _text(old.node.get("value")) != _text(new.node.get("value")):
        found.append(("literal", _text(old.node.get("value")), _text(new.node.get("value"))))
    for name, word in _ATTRIBUTES:
        before, after = (_text(spot.node[name]) if name in spot.node else None for spot in (old, new))
        if before != after:
            found.append((word, before, after))
    return found


def _whole(kind: EditKind, old: ProgramNode | None, new: ProgramNode | None) -> Edit:
    spot = new or old
    assert spot is not None  # noqa: S101  # one of them is there, for the type checker
    return Edit(
        kind,
        spot.kind or "node",
        None,
        None,
        old.position if old else None,
        new.position if new else None,
        len(subtree(spot)),
    )


def _text(value: Json) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    except (ValueError, RecursionError, TypeError):
        return "…"
