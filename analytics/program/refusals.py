"""Where the engine's validator would refuse a program, why, and what to write instead: every place, not only the first.

Whatever is given is looked at and never run: nesting, sharing and size of hostile input are bounded, and nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from analytics.errors import did_you_mean
from analytics.program.evaluate import MAX_DEPTH, MAX_NODES
from analytics.program.faults import BARE, FAULTS, KEYS, LONGEST, STATEMENTS, Fault, is_in, object_for, of_program
from analytics.storage.typed_json import Json, JsonObject

MOST_LISTED: Final = 50
"""Places that are listed; of the others only the number is told."""
MOST_WALKED: Final = 100_000
"""Nodes that are looked at. Objects that are shared in Python may unfold into more than any machine holds."""
_MOST_STEPS: Final = 200
_OBJECT: Final = (dict, Mapping)  # asked in this order, for the second takes its time


@dataclass(frozen=True, slots=True)
class Refusal:
    """One place at which a program would be refused.

    Attributes:
        path: JSON path from the root: ``$.rules[2].then[0].value``; of a missing key, the path of the object that lacks it.
        reason: Why, in a clause without its full stop.
        repair: What to write instead, in a clause.
    """

    path: str
    reason: str
    repair: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """A program as the validator counts it, and every place it stumbles over.

    Attributes:
        nodes: As in `PublishedSize`; "at least" where the program is larger than what is looked at.
        depth: Of the deepest node, as there.
        smallest_rule: As there.
        refusals: Places in the order of a reader, limits last; at most as many as were asked for.
        count: Places in all; 0 where the validator takes the program.
    """

    nodes: int
    depth: int
    smallest_rule: int | None
    refusals: list[Refusal]
    count: int


def refusals(
    ast: Json, *, wraps_builtin: bool | None = None, max_nodes: float = MAX_NODES, max_depth: float = MAX_DEPTH
) -> list[Refusal]:
    """Every place at which the engine's validator would refuse a program; empty where it takes it. Never raises.

    The validator stops at the first, so the places behind it are what it would say next, once those before are repaired. Below a
    node that nests too deep nothing more is listed. At most 50 places are; one more entry, of the root, then says how many follow.

    Args:
        ast: The program as its author's JSON holds it, or any Python object.
        wraps_builtin: Whether it is DSL_EXTEND. The validator does not know, so nothing is refused for it; it decides what is
            proposed for what stands in the wrong section. None says both.
        max_nodes: The engine's cap of nodes.
        max_depth: The engine's cap of depth.
    """
    found = inspection(ast, wraps_builtin=wraps_builtin, max_nodes=max_nodes, max_depth=max_depth)
    rest = found.count - len(found.refusals)
    if not rest:
        return found.refusals
    told = f"{rest:,} more {'place is' if rest == 1 else 'places are'} refused"
    return [*found.refusals, Refusal("$", told, "repair those above, and look again")]


class NodePlace(NamedTuple):
    """A node of a program where it stands.

    Attributes:
        node: What stands there: an object, if the author did well.
        depth: Nesting; a rule is at 1.
        role: What it stands for: ``program``, ``rule``, ``branch``, ``statement``, ``condition`` or ``expression``.
        section: Of the program.
        rule: Number of its rule over all sections; -1 under ``default``.
        above: What it hangs under.
        step: The last step of its path.
    """

    node: Json
    depth: int
    role: str
    section: str
    rule: int
    above: NodePlace | None
    step: str

    @property
    def path(self) -> str:
        """Its JSON path, cut where nobody would follow it."""
        steps: list[str] = []
        place: NodePlace | None = self
        while place is not None:
            steps.append(place.step)
            place = place.above
        hidden = len(steps) - _MOST_STEPS
        return "".join(reversed(steps)) if hidden <= 0 else "".join(steps[: -_MOST_STEPS - 1 : -1]) + f" … +{hidden:,}"


@dataclass(slots=True)
class _Inspector:
    """What has been counted and found so far.

    Attributes:
        most: Places that are listed.
        max_depth: The engine's cap.
        wraps: Whether a built-in is wrapped, as far as it is known.
        nodes: Counted so far, the program itself included.
        depth: Of the deepest node.
        rules: Number of a rule → its nodes.
        too_deep: The topmost places beyond the cap, and how deep it goes on below each.
    """

    most: int
    max_depth: float
    wraps: bool | None
    nodes: int = 1
    depth: int = 0
    rules: dict[int, int] = field(default_factory=dict)
    too_deep: list[tuple[NodePlace, int]] = field(default_factory=list)
    listed: list[Refusal] = field(default_factory=list)
    count: int = 0

    def add(self, place: NodePlace, fault: Fault) -> None:
        self.count += 1
        if len(self.listed) < self.most:
            given = fault.given[:LONGEST] if isinstance(fault.given, str) else ""
            near = did_you_mean(given, fault.known) if fault.known else ""
            self.listed.append(Refusal(place.path + fault.step, fault.reason, near + fault.repair))

    def meet(self, place: NodePlace, is_inside_itself: bool) -> None:
        """Count one node, and say what is wrong with it."""
        node = place.node
        kind = node.get("type") if isinstance(node, _OBJECT) else None
        own = 2 if place.role == "condition" and is_in(kind, BARE) else 1
        self.nodes, self.depth = self.nodes + own, max(self.depth, place.depth)
        if place.rule >= 0:
            self.rules[place.rule] = self.rules.get(place.rule, 0) + own
        if place.depth > self.max_depth:
            # The validator goes no further down: of what stands there, only how deep it goes on is told.
            if place.above is None or place.above.depth <= self.max_depth:
                self.too_deep.append((place, place.depth))
            elif place.depth > self.too_deep[-1][1]:
                self.too_deep[-1] = (self.too_deep[-1][0], place.depth)
        elif is_inside_itself:
            self.add(place, Fault("", f"a {place.role} holds itself", "write it out, as JSON would"))
        elif isinstance(node, _OBJECT):
            for fault in FAULTS[place.role](node, kind, place.section, self.wraps):
                self.add(place, fault)
        else:
            self.add(place, Fault("", f"a {place.role} is no object", object_for(place.role)))

    def judge(self, root: NodePlace, max_nodes: float) -> None:
        """Hold what was counted against the limits; the deepest place comes first."""
        is_cut = self.nodes > MOST_WALKED
        repair = "say the same with fewer operators within each other, or split the rule"
        for place, depth in sorted(self.too_deep, key=lambda found: -found[1]):
            least = "at least " * is_cut
            self.add(place, Fault("", f"it nests {least}{depth:,} deep, and {self.max_depth:,} is the most", repair))
        repair = "pay the same with fewer rules and conditions, or make two strategies of it"
        if is_cut or self.nodes > max_nodes:
            nodes = f"more than {MOST_WALKED:,}" if is_cut else f"{self.nodes:,}"
            most = min(max_nodes, MOST_WALKED) if is_cut else max_nodes
            self.add(root, Fault("", f"it has {nodes} nodes, and {most:,} is the most", repair))


def inspection(
    ast: Json,
    *,
    wraps_builtin: bool | None = None,
    max_nodes: float = MAX_NODES,
    max_depth: float = MAX_DEPTH,
    most: int = MOST_LISTED,
) -> Inspection:
    """Count a program and find what the validator refuses. Never raises.

    Args:
        ast: The program, or anything else.
        wraps_builtin: As in `refusals`.
        max_nodes: The engine's cap of nodes.
        max_depth: The engine's cap of depth.
        most: Places that are listed.
    """
    found, root = _Inspector(most, max_depth, wraps_builtin), _root(ast)
    if not isinstance(ast, Mapping):
        found.add(root, Fault("", "it is no object", 'write {"type": "program", "rules": […]}'))
        return Inspection(0, 0, None, found.listed, found.count)
    for fault in of_program(ast):
        found.add(root, fault)
    for place, is_inside_itself in walked(ast):
        found.meet(place, is_inside_itself)
        if found.nodes > MOST_WALKED:
            break
    found.judge(root, max_nodes)
    return Inspection(found.nodes, found.depth, min(found.rules.values(), default=None), found.listed, found.count)


def walked(ast: JsonObject) -> Iterator[tuple[NodePlace, bool]]:
    """Every node of a program as the validator meets it, and whether it stands inside itself, which ends the way down.

    Shared objects come as often as they are met: whoever goes through all has to stop somewhere.
    """
    stack, inside = [(_tops(_root(ast), ast), id(ast))], {id(ast)}
    while stack:
        below, holder = stack[-1]
        place = next(below, None)
        if place is None:
            stack.pop()
            inside.discard(holder)
            continue
        node, is_inside_itself = place.node, id(place.node) in inside
        yield place, is_inside_itself
        if isinstance(node, _OBJECT) and not is_inside_itself:
            inside.add(id(node))
            stack.append((_below(place, node), id(node)))


# ---- what stands where -----------------------------------------------------------------------------------------------


def _root(ast: Json) -> NodePlace:
    return NodePlace(ast, 0, "program", "", -1, None, "$")


def _tops(root: NodePlace, ast: JsonObject) -> Iterator[NodePlace]:
    number = 0
    for section in ("rules", "pre_rules", "post_rules"):
        for index, rule in enumerate(_list(ast.get(section))):
            yield NodePlace(rule, 1, "rule", section, number, root, f".{section}[{index}]")
            number += 1
    if ast.get("default") is not None:
        yield NodePlace(ast["default"], 1, "statement", "default", -1, root, ".default")


def _below(place: NodePlace, node: JsonObject) -> Iterator[NodePlace]:
    """What hangs under a node."""
    depth, section, rule = place.depth + 1, place.section, place.rule
    if place.role in ("rule", "branch"):
        if "when" in node:
            yield NodePlace(node["when"], depth, "condition", section, rule, place, ".when")
        for index, step in enumerate(_list(node.get("then"))):
            yield NodePlace(step, depth, "statement", section, rule, place, f".then[{index}]")
        if place.role == "rule":
            for index, branch in enumerate(_list(node.get("else_if"))):
                yield NodePlace(branch, place.depth, "branch", section, rule, place, f".else_if[{index}]")
            for index, step in enumerate(_list(node.get("else"))):
                yield NodePlace(step, depth, "statement", section, rule, place, f".else[{index}]")
        return
    kind = node.get("type")
    role = "condition" if is_in(kind, ("and", "or", "not")) else "expression"
    keys = STATEMENTS[kind][1] if is_in(kind, STATEMENTS) else KEYS[kind] if is_in(kind, KEYS) else ()
    for key in keys:
        if key == "args":
            for index, operand in enumerate(_list(node.get(key))):
                yield NodePlace(operand, depth, role, section, rule, place, f".args[{index}]")
        elif key in node and (key in ("left", "right", "arg") or (key == "value" and kind != "literal")):
            yield NodePlace(node[key], depth, role, section, rule, place, f".{key}")


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
