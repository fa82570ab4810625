"""A program as a tree of places: what `walk` lists, linked, so that a run can be followed through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analytics.program.walk import SECTIONS, AstNode, children, top_level, walk


@dataclass(slots=True)
class Spot:
    """One node of the AST at its place.

    Attributes:
        position: As in `walk`: unique within the program, unlike the node's id.
        node: The author's object.
        kind: Its type; `rule` for rules, None where the author gave none.
        depth: Nesting, as in `walk`.
        below: What hangs under it, by slot (`when`, `then[0]`, `left`, `args[1]`, …).
    """

    position: int
    node: Mapping[str, Any]
    kind: str | None
    depth: int
    below: dict[str, Spot] = field(default_factory=dict, repr=False)

    @property
    def node_id(self) -> Any:
        """The id that its trace entries carry."""
        return self.node.get("id")


@dataclass(slots=True)
class Outline:
    """A program ready to be followed. Build it with `outline`.

    Attributes:
        program: The AST.
        nodes: Its nodes in walk order; the index is the position.
        spots: The same, linked.
        tops: Rules and the statements of `default`, by slot (`rules[0]`, `default`, …), as far as they are objects.
    """

    program: Mapping[str, Any]
    nodes: list[AstNode]
    spots: list[Spot]
    tops: dict[str, Spot]


def outline(program: Any) -> Outline:
    """Link the nodes of a program. Never raises on an odd shape: what is no object has no place, as in `walk`."""
    source: Mapping[str, Any] = program if isinstance(program, Mapping) else {}
    spots: list[Spot] = []
    tops: dict[str, Spot] = {}
    nodes = walk(source)
    for section in SECTIONS:
        for top in top_level(source, section):
            # The same order as in `walk`: parents first, children from the left.
            stack: list[tuple[Mapping[str, Any], str, dict[str, Spot] | None]] = [(top.node, top.slot, None)]
            while stack:
                node, slot, siblings = stack.pop()
                spot = Spot(len(spots), node, nodes[len(spots)].type, nodes[len(spots)].depth)
                spots.append(spot)
                (tops if siblings is None else siblings)[slot] = spot
                is_rule = siblings is None and section != "default"
                stack.extend(
                    (child.node, child.slot, spot.below) for child in reversed(children(node, is_rule=is_rule))
                )
    return Outline(source, nodes, spots, tops)
