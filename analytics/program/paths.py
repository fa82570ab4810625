"""All paths that a run may have taken through its program, given what it read and what it paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from analytics.program.align import Alignment
from analytics.program.bounds import truth_of
from analytics.program.exact import CONDITIONS, ENDINGS, MAX_COMPILED_DEPTH, SETTING, items, listed, section_of
from analytics.program.outcome import Phase, RuleFailure, is_number
from analytics.program.walk import Outline, ProgramNode
from analytics.storage.typed_json import Json, JsonObject

Branch: TypeAlias = "bool | str | None"
"""What came of a place: true or false for conditions, the branch for rules; None where it decides nothing."""

_OPERANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": (), "field": (), "func_call": (), "compare": ("left", "right"), "arith": ("left", "right"),
}  # fmt: skip
_LEAVES: Final = frozenset({"literal", "field"})
_STATEMENTS: Final = SETTING | {"assign_points", "set_data", "set_callback_data"}
END, DEAD = 0, 1


class _Exits(NamedTuple):
    """Where the end of a rule's block leads, and a `return`: where no statement has set the result, and where one has."""

    after: int
    ended: int
    after_set: int
    ended_set: int

    def once_set(self) -> _Exits:
        return _Exits(self.after_set, self.ended_set, self.after_set, self.ended_set)


class Graph:
    """The paths through a program, built from its end: a vertex is a place whose entry comes next, and where each turn leads.

    Args:
        program: The program.
        seen: Position → whether it was true, of the places that the trace shows.
        points, case_name: What the run paid.
    """

    def __init__(self, program: Outline, seen: Mapping[int, bool], points: float | None, case_name: str | None) -> None:
        self.program, self.seen, self.points, self.case_name = program, seen, points, case_name
        self.fields: JsonObject = {}
        self.vertices: list[tuple[int, tuple[tuple[int, Branch], ...]]] = [(-1, ()), (-1, ())]  # the end; nowhere

    def vertex(self, spot: ProgramNode, *targets: tuple[int, Branch]) -> int:
        """A new vertex; nowhere when no turn leads on."""
        if any(target == DEAD for target, _ in targets):
            targets = tuple(target for target in targets if target[0] != DEAD)
        if not targets:
            return DEAD
        self.vertices.append((spot.position, targets))
        return len(self.vertices) - 1

    # ---- phases and statements -------------------------------------------------------------------------------------

    def extend(self, fields: JsonObject, post_fields: JsonObject) -> int:
        """Where a DSL_EXTEND program begins."""
        at = END
        if self.program.program.get("post_rules"):
            at = self.phase("post", post_fields, at)
        return self.phase("pre", fields, at) if self.program.program.get("pre_rules") else at

    def phase(self, phase: Phase, fields: JsonObject, after: int) -> int:
        """Where a phase begins that leads on to a vertex."""
        self.fields = fields
        section = section_of(phase)
        rules = listed(self.program.program.get(section))
        default = self.program.program.get("default") if phase == "full" else None
        if rules is None:
            return DEAD
        at = ended = after if phase != "full" or self.ends_unpaid() else DEAD
        if default is not None:
            spot = self.program.tops.get("default")
            ways = _Exits(ended, ended, after, after)
            at = self.statement(spot, phase, ways.once_set() if spot and spot.kind in SETTING else ways)
        # Where statements of another phase set the result of a DSL_FULL program, there are two ways through what follows.
        is_set = phase == "full" and any(
            node.section == "rules" and node.type in SETTING for node in self.program.nodes
        )
        done = after if is_set else DEAD
        for index in reversed(range(len(rules))):
            spot = self.program.tops.get(f"{section}[{index}]")
            ways = _Exits(at, ended, done, after) if is_set else _Exits(at, ended, at, ended)
            at = DEAD if spot is None else self.rule(spot, phase, ways)
            if is_set:
                done = DEAD if spot is None else self.rule(spot, phase, ways.once_set())
        return at

    def rule(self, spot: ProgramNode, phase: Phase, ways: _Exits) -> int:
        """Where a rule begins: it falls through to one vertex, or ends the phase at another."""
        steps = self.block(spot.below, "else", spot.node.get("else"), phase, ways)
        no = self.vertex(spot, (steps, "else" if spot.node.get("else") else "skip"))
        branches = listed(spot.node.get("else_if"))
        if branches is None:  # the run fails there unless the first condition held
            no, branches = DEAD, []
        for index in reversed(range(len(branches))):
            branch = branches[index]
            then = branch.get("then") if isinstance(branch, Mapping) else None
            steps = self.block(spot.below, f"else_if[{index}].then", then, phase, ways)
            yes = self.vertex(spot, (steps, f"elseif:{index}"))
            no = self.value(spot.below.get(f"else_if[{index}].when"), yes, no)
        steps = self.block(spot.below, "then", spot.node.get("then"), phase, ways)
        return self.value(spot.below.get("when"), self.vertex(spot, (steps, "match")), no)

    def block(self, below: Mapping[str, ProgramNode], slot: str, steps: Json, phase: Phase, ways: _Exits) -> int:
        """Where some statements begin."""
        found = listed(steps)
        if found is None:
            return DEAD
        spots = [below.get(f"{slot}[{index}]") for index in range(len(found))]
        for spot in spots:
            if spot is None or spot.kind in ENDINGS:
                break
            if spot.kind in SETTING:
                ways = ways.once_set()
        after = ways.after
        for spot in reversed(spots):
            after = self.statement(spot, phase, ways._replace(after=after))
        return after

    def statement(self, spot: ProgramNode | None, phase: Phase, ways: _Exits) -> int:
        """Where a statement begins; nowhere, when the run was not paid as it pays."""
        kind, after = str(spot.kind) if spot else "", ways.after
        if spot is None:
            return DEAD
        if kind == "return":
            return self.vertex(spot, (ways.ended, None))
        if kind == "veto":
            return self.vertex(spot, (END if self.pays(spot, 0) else DEAD, None))
        if kind not in _STATEMENTS:
            return DEAD
        if kind == "assign_points" and phase == "pre":
            after = ways.ended  # it ends the phase, and the parent's answer takes its place
        elif kind == "assign_points":
            value = spot.below.get("value")
            amount = value.node.get("value") if value and value.kind == "literal" else None
            after = END if self.pays(spot, amount) else DEAD
        at = self.vertex(spot, (after, None))
        return self.operand(spot.below.get("value"), at)

    def ends_unpaid(self) -> bool:
        """The run may have ended without a payment."""
        return self.points is None or (self.points == 0 and self.case_name is None)

    def pays(self, spot: ProgramNode, amount: Json) -> bool:
        """The run may have ended here: the case is the one it was paid for, and so is an amount that stands in the program."""
        if self.points is None:
            return True
        case = spot.node.get("case_name")
        if isinstance(case, str | None) and case != self.case_name:
            return False
        return not is_number(amount) or abs(amount) >= 2**53 or float(amount) == self.points

    # ---- expressions -----------------------------------------------------------------------------------------------

    def value(self, spot: ProgramNode | None, yes: int, no: int) -> int:
        """Where an expression begins that leads on to one of two vertices."""
        kind = str(spot.kind) if spot else ""
        if spot is None or spot.depth > MAX_COMPILED_DEPTH or (yes == no == DEAD):
            return DEAD
        if kind in ("and", "or"):
            return self.junction(spot, kind == "or", yes, no)
        if kind == "not":
            return self.value(spot.below.get("arg"), self.vertex(spot, (no, False)), self.vertex(spot, (yes, True)))
        if kind not in _OPERANDS:
            return DEAD
        if yes == no:
            at = self.vertex(spot, (yes, None))
        else:
            holds = self.holds(spot)
            at = self.vertex(spot, *((end, turn) for end, turn in ((yes, True), (no, False)) if turn in holds))
        slots = _OPERANDS[kind]
        if kind == "func_call":
            args = listed(spot.node.get("args"))
            slots = ("",) if args is None else tuple(f"args[{index}]" for index in range(len(args)))
        for slot in reversed(slots):
            at = self.operand(spot.below.get(slot), at)
        return at

    def operand(self, spot: ProgramNode | None, after: int) -> int:
        """Where an operand begins; nowhere when it is a condition, on which the run would have failed."""
        if spot is not None and spot.kind in _LEAVES:  # most of a program: as ``value`` has them
            if after == DEAD or spot.depth > MAX_COMPILED_DEPTH:
                return DEAD
            self.vertices.append((spot.position, ((after, None),)))
            return len(self.vertices) - 1
        return DEAD if spot is not None and spot.kind in CONDITIONS else self.value(spot, after, after)

    def holds(self, spot: ProgramNode) -> tuple[bool, ...]:
        """What may come of a condition: as recorded, as what is known decides, or both."""
        if spot.position in self.seen:
            return (self.seen[spot.position],)
        try:
            decided = truth_of(spot.node, self.fields)
        except RuleFailure:  # the run did not fail, so it did not come by
            return ()
        return (True, False) if decided is None else (decided,)

    def junction(self, spot: ProgramNode, cutting: bool, yes: int, no: int) -> int:
        """Where `and` or `or` begins; one that is cut short ends elsewhere than one that is not."""
        args = items(spot.node.get("args"))
        if args is None:
            return DEAD
        early, late = (yes, no) if cutting else (no, yes)
        short = self.vertex(spot, (early, cutting))
        at = self.vertex(spot, (late, not cutting))
        for index in reversed(range(len(args))):
            ends = (short, at) if cutting else (at, short)
            at = self.value(spot.below.get(f"args[{index}]"), *ends)
        return at


_MOST_SUMS = 400_000
"""Sums of one run; a program with more unknown turns than that is not followed."""


@dataclass(frozen=True, slots=True)
class TruncatedSuffix:
    """What a run did behind the cut of its trace, as far as its row tells.

    Attributes:
        unseen: Entries behind the cut.
        ways: Paths through the program that fit the row.
        visits: Position → share of these paths that come by; they add up to ``unseen``.
        turns: (position, turn) → share of these paths that take it.
        sure: Positions that all paths come by.
        sure_turns: Turns that all paths take.
    """

    unseen: int
    ways: int
    visits: Mapping[int, float]
    turns: Mapping[tuple[int, Branch], float]
    sure: frozenset[int]
    sure_turns: frozenset[tuple[int, Branch]]

    @property
    def is_complete(self) -> bool:
        """There is one way only: nothing is unknown about where the run went."""
        return self.ways == 1


def truncated_suffix(
    program: Outline,
    found: Alignment,
    trace: Sequence[JsonObject],
    *,
    is_extend: bool,
    count: int,
    points: float | None,
    case_name: str | None,
    known: JsonObject | None = None,
) -> TruncatedSuffix | None:
    """Follow a cut run to its end.

    Args:
        program: Its program.
        found: Its trace beside the program.
        trace: The recorded entries.
        is_extend: The program is DSL_EXTEND.
        count: Entries of the run before the cut (``nodes_executed``).
        points, case_name: What the run paid. Of a DSL_FULL program they tell which statement ended it.
        known: Fields known from elsewhere than the trace.

    Returns:
        None when no way through the program fits, or when too many turns are unknown to count the ways.
    """
    if not found.fits or count <= len(trace):
        return None
    seen = {at: bool(entry.get("value")) for at, entry in zip(found.positions, trace, strict=True)}
    graph = Graph(program, seen, points, case_name)
    fields = {**(known or {}), **found.fields}
    start = (
        graph.extend(fields, {**_lasting(fields), **found.post_fields})
        if is_extend
        else graph.phase("full", fields, END)
    )
    for position in found.positions:
        place, targets = graph.vertices[start]
        if place != position or len(targets) != 1:
            return None
        start = targets[0][0]
    return _counted(graph, start, len(trace), count)


def _lasting(fields: JsonObject) -> dict[str, Json]:
    """What the post phase reads as the pre phase did: ``set_data`` may have changed the event's data meanwhile."""
    return {path: value for path, value in fields.items() if not path.startswith("data.")}


_Counts: TypeAlias = dict[int, dict[int, int]]
"""Vertex → number of entries → number of paths."""


def _counted(graph: Graph, start: int, seen: int, count: int) -> TruncatedSuffix | None:
    """Sums over all paths from a vertex to the end that leave so many entries."""
    order = _reached(graph, start)
    after = _paths_to_the_end(graph, order, seen, count)
    ways = after[start].get(seen, 0) if after is not None else 0
    if after is None or not ways:
        return None
    turns = _turns(graph, order, after, {start: {seen: 1}})
    visits: dict[int, int] = {}
    for (position, _), taken in turns.items():
        visits[position] = visits.get(position, 0) + taken
    return TruncatedSuffix(
        count - seen,
        ways,
        {position: taken / ways for position, taken in visits.items()},
        {turn: taken / ways for turn, taken in turns.items()},
        frozenset(position for position, taken in visits.items() if taken == ways),
        frozenset(turn for turn, taken in turns.items() if taken == ways),
    )


def _reached(graph: Graph, start: int) -> list[int]:
    """The vertices that a vertex leads to, itself among them, the end first: every edge leads to a smaller number."""
    reached, stack = {start}, [start]
    while stack:
        for target, _ in graph.vertices[stack.pop()][1]:
            if target not in reached:
                reached.add(target)
                stack.append(target)
    return sorted(reached)


def _paths_to_the_end(graph: Graph, order: Sequence[int], seen: int, count: int) -> _Counts | None:
    """By the entries that were left so far, the paths from a vertex to the end; None where there are too many sums."""
    after: _Counts = {vertex: {} for vertex in order}
    sums = 0
    if END in after:
        after[END][count] = 1
    for vertex in order:
        own = after[vertex]
        for target, _ in graph.vertices[vertex][1]:
            for entries, paths in after[target].items():
                if entries > seen:
                    own[entries - 1] = own.get(entries - 1, 0) + paths
        sums += len(own)
        if sums > _MOST_SUMS:
            return None
    return after


def _turns(graph: Graph, order: Sequence[int], after: _Counts, before: _Counts) -> dict[tuple[int, Branch], int]:
    """How many paths take each turn: those that come by times those that go on from there.

    Args:
        graph: The program.
        order: Its vertices, the end first.
        after: Paths from a vertex to the end, by the entries so far.
        before: The same from the start; filled on the way.
    """
    turns: dict[tuple[int, Branch], int] = {}
    for vertex in reversed(order):
        position, targets = graph.vertices[vertex]
        for target, turn in targets:
            later, paths_there = after[target], before.setdefault(target, {})
            taken = 0
            for entries, paths in before.get(vertex, {}).items():
                rest = later.get(entries + 1)
                if rest:
                    taken += paths * rest
                    paths_there[entries + 1] = paths_there.get(entries + 1, 0) + paths
            if taken:
                turns[position, turn] = turns.get((position, turn), 0) + taken
    return turns
