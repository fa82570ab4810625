"""Flatten an AST into its nodes, in the order a reader meets them.

An AST is an author's JSON and may be anything. Nothing here raises on an odd shape: what is no object is skipped,
what has no type is kept with `type` None.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from analytics.storage.typed_json import Json, JsonObject

Section = Literal["rules", "default", "pre_rules", "post_rules"]
SECTIONS: Final[tuple[Section, ...]] = ("rules", "default", "pre_rules", "post_rules")

#: Field paths that cost one database query each per run; all others come with the event or the parent.
ANALYTICS_PATHS: Final = frozenset(
    {
        "all.avg_time",
        "task.measurements_count",
        "user.avg_time",
        "user.last_window_diff",
        "user.measurements_count",
        "user.new_last_window_diff",
        "user.recent_measurements_count",
    }
)
_SINGLE: Final = ("arg", "left", "right", "value")


@dataclass(frozen=True, slots=True)
class AstNode:
    """One node of an AST.

    Attributes:
        position: 0-based place in the walk; unique within the program, unlike `node_id`.
        parent_position: Position of the node it hangs under; None for a rule and for the default statement.
        depth: Nesting; a rule and the default statement have 1, a rule's conditions and statements 2, those of its
            `else_if` too, an operand one more than its operator.
        section: The list of the program it belongs to.
        slot: Its place within its parent, as `when`, `then[0]`, `else_if[0].when`, `args[1]`, `left`, `rules[2]`.
        rule_index: 0-based index of its rule within the section; None under `default`.
        node_id: As the author wrote it, None when missing (or no text).
        type: The node's type; rules, which carry none, get `rule`.
        path: A field's path.
        operator: The operator of `compare` and `arith`, the name of a function.
        literal: A literal's value as JSON text, so that `"1"` and `1` stay apart.
        case_name: The case a statement pays under.
        key: The key that `set_data` and `set_callback_data` write.
    """

    position: int
    parent_position: int | None
    depth: int
    section: Section
    slot: str
    rule_index: int | None
    node_id: str | None
    type: str | None
    path: str | None
    operator: str | None
    literal: str | None
    case_name: str | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Child:
    """A place under a node: what a path to it says, and its index among its siblings of that place."""

    slot: str
    index: int
    node: JsonObject


def _items(value: Json) -> Iterator[tuple[int, JsonObject]]:
    """The objects of a list, with their index in it."""
    if isinstance(value, list):
        yield from ((index, item) for index, item in enumerate(value) if isinstance(item, Mapping))


def top_level(program: JsonObject, section: Section) -> list[Child]:
    """The rules of a section, or the statement(s) of `default`."""
    found = program.get(section)
    if section == "default" and isinstance(found, Mapping):
        return [Child("default", 0, found)]
    return [Child(f"{section}[{index}]", index, item) for index, item in _items(found)]


def children(node: JsonObject, *, is_rule: bool) -> list[Child]:
    """The nodes directly under a node, in walk order."""
    if not is_rule:
        if node.get("type") == "literal":
            return []  # a literal's value is data, even when it looks like a node
        singles = [(slot, node.get(slot)) for slot in _SINGLE]
        found = [
            Child(slot, 1 if slot == "right" else 0, child)
            for slot, child in singles
            if child is not None and isinstance(child, (dict, Mapping))  # an abstract class is slow to ask
        ]
        return found + [Child(f"args[{index}]", index, child) for index, child in _items(node.get("args"))]
    when = node.get("when")
    found = [Child("when", 0, when)] if isinstance(when, Mapping) else []
    found += [Child(f"then[{index}]", index, child) for index, child in _items(node.get("then"))]
    for branch_index, branch in _items(node.get("else_if")):
        condition = branch.get("when")
        if isinstance(condition, Mapping):
            found.append(Child(f"else_if[{branch_index}].when", branch_index, condition))
        for index, child in _items(branch.get("then")):
            found.append(Child(f"else_if[{branch_index}].then[{index}]", index, child))
    return found + [Child(f"else[{index}]", index, child) for index, child in _items(node.get("else"))]


def walk(program: Json) -> list[AstNode]:
    """Flatten a program, parents before children.

    Grain: one row per node of the AST; `program` itself and `else_if` branches are no nodes.
    """
    return [node for node, _ in _walked(program)] if isinstance(program, Mapping) else []


def _walked(program: JsonObject) -> Iterator[tuple[AstNode, JsonObject]]:
    """The nodes of a program with the author's objects, parents before children."""
    position = 0
    for section in SECTIONS:
        for top in top_level(program, section):
            rule_index = None if section == "default" else top.index
            stack: list[tuple[Child, int | None, int]] = [(top, None, 1)]
            while stack:
                child, parent, depth = stack.pop()
                is_rule = parent is None and section != "default"
                yield _node(child, position, parent, depth, section, rule_index, is_rule), child.node
                below = children(child.node, is_rule=is_rule)
                stack.extend([(found, position, depth + 1) for found in reversed(below)])
                position += 1


def _node(
    child: Child, position: int, parent: int | None, depth: int, section: Section, rule_index: int | None, is_rule: bool
) -> AstNode:
    node = child.node
    kind = "rule" if is_rule else _text(node.get("type"))
    return AstNode(
        position=position,
        parent_position=parent,
        depth=depth,
        section=section,
        slot=child.slot,
        rule_index=rule_index,
        node_id=_text(node.get("id")),
        type=kind,
        path=_text(node.get("path")) if kind == "field" else None,
        operator=_text(node.get("name" if kind == "func_call" else "op")),
        literal=_json(node["value"]) if kind == "literal" and "value" in node else None,
        case_name=_text(node.get("case_name")),
        key=_text(node.get("key")),
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: Json) -> str | None:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError, TypeError):
        return None


def analytics_paths(program: Json) -> tuple[str, ...]:
    """The distinct analytics paths a program reads, sorted: each costs one database query per run."""
    return tuple(sorted({node.path for node in walk(program) if node.path in ANALYTICS_PATHS and node.path}))


ROOT = "root"


def generate_ids(program: JsonObject) -> dict[str, Json]:
    """Return a copy of the program in which every node has an id; the author's own ids stay."""
    copy = _copied(program)
    for section in SECTIONS:
        for top in top_level(copy, section):
            stack = [(top, ROOT, section != "default")]
            while stack:
                child, parent_id, is_rule = stack.pop()
                node = child.node
                kind = "rule" if is_rule else node.get("type")
                node_id = node.get("id")
                if not isinstance(node_id, str):
                    node_id = f"{parent_id}.{kind}.{child.index}"
                    if isinstance(node, dict):
                        node["id"] = node_id
                stack.extend((found, node_id, False) for found in children(node, is_rule=is_rule))
    return copy


def _copied(program: JsonObject) -> dict[str, Json]:
    """A deep copy of JSON data without recursion, as an author's nesting has no bound."""
    copy = dict(program)
    unfinished: list[dict[str, Json] | list[Json]] = [copy]

    def shallow(value: Json) -> Json:
        if not isinstance(value, Mapping | list):
            return value
        made = dict(value) if isinstance(value, Mapping) else list(value)
        unfinished.append(made)
        return made

    while unfinished:
        holder = unfinished.pop()
        if isinstance(holder, dict):
            holder.update({key: shallow(value) for key, value in holder.items()})
        else:
            holder[:] = map(shallow, holder)
    return copy


@dataclass(slots=True)
class ProgramNode:
    """One node of the AST at its place.

    Attributes:
        position: As in `walk`: unique within the program, unlike the node's id.
        node: The author's object.
        kind: Its type; `rule` for rules, None where the author gave none.
        depth: Nesting, as in `walk`.
        below: What hangs under it, by slot (`when`, `then[0]`, `left`, `args[1]`, …).
    """

    position: int
    node: JsonObject
    kind: str | None
    depth: int
    below: dict[str, ProgramNode] = field(default_factory=dict, repr=False)

    @property
    def node_id(self) -> Json:
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

    program: JsonObject
    nodes: list[AstNode]
    spots: list[ProgramNode]
    tops: dict[str, ProgramNode]


def outline(program: Json) -> Outline:
    """Link the nodes of a program. Never raises on an odd shape: what is no object has no place, as in `walk`."""
    source: JsonObject = program if isinstance(program, Mapping) else {}
    nodes: list[AstNode] = []
    spots: list[ProgramNode] = []
    tops: dict[str, ProgramNode] = {}
    for node, written in _walked(source):
        nodes.append(node)
        spot = ProgramNode(node.position, written, node.type, node.depth)
        spots.append(spot)
        siblings = tops if node.parent_position is None else spots[node.parent_position].below
        siblings[node.slot] = spot
    return Outline(source, nodes, spots, tops)
