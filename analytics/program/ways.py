"""Behind the cut of a trace: every way the run may have gone on, given what its row says.

A program has no loops, so a run is a path through a graph without circles, one vertex per place and turn. What the trace holds
pins its beginning; what it read decides the conditions that read nothing else; the row says how many entries there were
(``nodes_executed``), which case ended the run and what it paid. The paths that agree with all of that are counted exactly (the
forward and backward sums of dynamic programming; Rabiner, *Proc. IEEE* 77, 1989, on the same two passes for hidden Markov
models). Where one path is left, the trace is complete again. Where several are, a place on all of them was visited for
certain, a place on none was not, and between them the row cannot tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from analytics.program.align import Alignment
from analytics.program.bounds import truth_of
from analytics.program.exact import MAX_COMPILED_DEPTH, PHASE_OF
from analytics.program.outcome import Phase, RuleFailure
from analytics.program.outline import Outline, Spot

Turn: TypeAlias = "bool | str | None"
"""What came of a place: true or false for conditions, the branch for rules; None where it decides nothing."""

_OPERANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "literal": (), "field": (), "func_call": (), "compare": ("left", "right"), "arith": ("left", "right"),
}  # fmt: skip
_STATEMENTS: Final = frozenset({"assign_points", "set_points", "set_case_name", "set_data", "set_callback_data"})
_END, _DEAD = 0, 1
_MOST_SUMS = 400_000
"""Sums of one run; a program with more unknown turns than that is not followed."""


@dataclass(frozen=True, slots=True)
class Rest:
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
    turns: Mapping[tuple[int, Turn], float]
    sure: frozenset[int]
    sure_turns: frozenset[tuple[int, Turn]]

    @property
    def is_complete(self) -> bool:
        """There is one way only: nothing is unknown about where the run went."""
        return self.ways == 1


def follow(
    program: Outline,
    found: Alignment,
    trace: Sequence[Mapping[str, Any]],
    *,
    is_extend: bool,
    count: int,
    points: float | None,
    case_name: str | None,
    known: Mapping[str, Any] | None = None,
) -> Rest | None:
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
    graph = _Graph(program, seen, points, case_name)
    fields = {**(known or {}), **found.fields}
    if is_extend:
        start = graph.extend(fields, {**_lasting(fields), **found.post_fields})
    else:
        start = graph.phase("full", fields, _END)
    for position in found.positions:
        place, targets = graph.vertices[start]
        if place != position or len(targets) != 1:
            return None
        start = targets[0][0]
    return _counted(graph, start, len(trace), count)


def _lasting(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the post phase reads as the pre phase did: ``set_data`` may have changed the event's data meanwhile."""
    return {path: value for path, value in fields.items() if not path.startswith("data.")}


def _counted(graph: _Graph, start: int, seen: int, count: int) -> Rest | None:
    """Sums over all paths from a vertex to the end that leave so many entries."""
    reached, stack = {start}, [start]
    while stack:
        for target, _ in graph.vertices[stack.pop()][1]:
            if target not in reached:
                reached.add(target)
                stack.append(target)
    order = sorted(reached)  # every edge leads to a smaller number
    # Entries so far → paths from there to the end; the same from the start.
    after: dict[int, dict[int, int]] = {vertex: {} for vertex in order}
    before: dict[int, dict[int, int]] = {vertex: {} for vertex in order}
    sums = 0
    if _END in after:
        after[_END][count] = 1
    for vertex in order:
        own = after[vertex]
        for target, _ in graph.vertices[vertex][1]:
            for entries, paths in after[target].items():
                if entries > seen:
                    own[entries - 1] = own.get(entries - 1, 0) + paths
        sums += len(own)
        if sums > _MOST_SUMS:
            return None
    ways = after[start].get(seen, 0)
    if not ways:
        return None
    before[start][seen] = 1
    turns: dict[tuple[int, Turn], int] = {}
    for vertex in reversed(order):
        position, targets = graph.vertices[vertex]
        for target, turn in targets:
            later, paths_there = after[target], before[target]
            taken = 0
            for entries, paths in before[vertex].items():
                rest = later.get(entries + 1)
                if rest:
                    taken += paths * rest
                    paths_there[entries + 1] = paths_there.get(entries + 1, 0) + paths
            if taken:
                turns[position, turn] = turns.get((position, turn), 0) + taken
    visits: dict[int, int] = {}
    for (position, _), taken in turns.items():
        visits[position] = visits.get(position, 0) + taken
    return Rest(
        count - seen,
        ways,
        {position: taken / ways for position, taken in visits.items()},
        {turn: taken / ways for turn, taken in turns.items()},
        frozenset(position for position, taken in visits.items() if taken == ways),
        frozenset(turn for turn, taken in turns.items() if taken == ways),
    )


class _Graph:
    """The ways through a program, built from its end: a vertex is a place whose entry comes next, and where each turn leads."""

    def __init__(self, program: Outline, seen: Mapping[int, bool], points: float | None, case_name: str | None) -> None:
        self.program, self.seen, self.points, self.case_name = program, seen, points, case_name
        self.fields: Mapping[str, Any] = {}
        self.vertices: list[tuple[int, tuple[tuple[int, Turn], ...]]] = [(-1, ()), (-1, ())]  # the end; nowhere

    def vertex(self, spot: Spot, *targets: tuple[int, Turn]) -> int:
        """A new vertex; nowhere when no turn leads on."""
        targets = tuple(target for target in targets if target[0] != _DEAD)
        if not targets:
            return _DEAD
        self.vertices.append((spot.position, targets))
        return len(self.vertices) - 1

    # ---- phases and statements -------------------------------------------------------------------------------------

    def extend(self, fields: Mapping[str, Any], post_fields: Mapping[str, Any]) -> int:
        at = _END
        if self.program.program.get("post_rules"):
            at = self.phase("post", post_fields, at)
        return self.phase("pre", fields, at) if self.program.program.get("pre_rules") else at

    def phase(self, phase: Phase, fields: Mapping[str, Any], after: int) -> int:
        self.fields = fields
        section = "rules" if phase == "full" else f"{phase}_rules"
        rules = self.program.program.get(section)
        default = self.program.program.get("default") if phase == "full" else None
        if not isinstance(rules, list | None):
            return _DEAD
        at = after
        if phase == "full" and not self.ends_unpaid():
            at = _DEAD
        if isinstance(default, list):
            at = self.block(self.program.tops, "default", default, phase, at, at)
        elif default is not None:
            at = self.statement(self.program.tops.get("default"), phase, at, at)
        ended = after if phase != "full" else _END if self.ends_unpaid() else _DEAD
        for index in reversed(range(len(rules or ()))):
            spot = self.program.tops.get(f"{section}[{index}]")
            at = _DEAD if spot is None else self.rule(spot, phase, at, ended)
        return at

    def rule(self, spot: Spot, phase: Phase, after: int, ended: int) -> int:
        steps = self.block(spot.below, "else", spot.node.get("else"), phase, after, ended)
        no = self.vertex(spot, (steps, "else" if spot.node.get("else") else "skip"))
        branches = spot.node.get("else_if")
        branches = branches if isinstance(branches, list) else []
        for index in reversed(range(len(branches))):
            branch = branches[index] if isinstance(branches[index], Mapping) else {}
            steps = self.block(spot.below, f"else_if[{index}].then", branch.get("then"), phase, after, ended)
            yes = self.vertex(spot, (steps, f"elseif:{index}"))
            no = self.value(spot.below.get(f"else_if[{index}].when"), yes, no)
        steps = self.block(spot.below, "then", spot.node.get("then"), phase, after, ended)
        return self.value(spot.below.get("when"), self.vertex(spot, (steps, "match")), no)

    def block(self, below: Mapping[str, Spot], slot: str, steps: Any, phase: Phase, after: int, ended: int) -> int:
        if not isinstance(steps, list | None):
            return _DEAD
        for index in reversed(range(len(steps or ()))):
            after = self.statement(below.get(f"{slot}[{index}]"), phase, after, ended)
        return after

    def statement(self, spot: Spot | None, phase: Phase, after: int, ended: int) -> int:
        kind = str(spot.kind) if spot else ""
        if spot is None or PHASE_OF.get(kind, phase) != phase:
            return _DEAD
        if kind == "return":
            return self.vertex(spot, (ended, None))
        if kind == "veto":
            return self.vertex(spot, (_END if self.pays(spot, 0) else _DEAD, None))
        if kind not in _STATEMENTS:
            return _DEAD
        if kind == "assign_points":
            value = spot.below.get("value")
            amount = value.node.get("value") if value and value.kind == "literal" else None
            after = _END if self.pays(spot, amount) else _DEAD
        at = self.vertex(spot, (after, None))
        return self.value(spot.below.get("value"), at, at)

    def ends_unpaid(self) -> bool:
        """The run may have ended without a payment."""
        return self.points is None or (self.points == 0 and self.case_name is None)

    def pays(self, spot: Spot, amount: Any) -> bool:
        """The run may have ended here: the case is the one it was paid for, and so is an amount that stands in the program."""
        if self.points is None:
            return True
        case = spot.node.get("case_name")
        if isinstance(case, str | None) and case != self.case_name:
            return False
        plain = isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 2**53
        return not plain or float(amount) == self.points

    # ---- expressions -----------------------------------------------------------------------------------------------

    def value(self, spot: Spot | None, yes: int, no: int) -> int:
        """Where an expression begins that leads on to one of two vertices."""
        kind = str(spot.kind) if spot else ""
        if spot is None or spot.depth > MAX_COMPILED_DEPTH or (yes == no == _DEAD):
            return _DEAD
        if kind in ("and", "or"):
            return self.junction(spot, kind == "or", yes, no)
        if kind == "not":
            return self.value(spot.below.get("arg"), self.vertex(spot, (no, False)), self.vertex(spot, (yes, True)))
        if kind not in _OPERANDS:
            return _DEAD
        if yes == no:
            at = self.vertex(spot, (yes, None))
        else:
            holds = self.holds(spot)
            at = self.vertex(spot, *((end, turn) for end, turn in ((yes, True), (no, False)) if turn in holds))
        slots = _OPERANDS[kind]
        if kind == "func_call":
            args = spot.node.get("args")
            slots = tuple(f"args[{index}]" for index in range(len(args))) if isinstance(args, list) else ("",)
        for slot in reversed(slots):
            at = self.value(spot.below.get(slot), at, at)
        return at

    def holds(self, spot: Spot) -> tuple[bool, ...]:
        """What may come of a condition: as recorded, as what is known decides, or both."""
        if spot.position in self.seen:
            return (self.seen[spot.position],)
        try:
            decided = truth_of(spot.node, self.fields)
        except RuleFailure:  # the run did not fail, so it did not come by
            return ()
        return (True, False) if decided is None else (decided,)

    def junction(self, spot: Spot, cutting: bool, yes: int, no: int) -> int:
        args = spot.node.get("args")
        if not isinstance(args, list):
            return _DEAD
        early, late = (yes, no) if cutting else (no, yes)
        short = self.vertex(spot, (early, cutting))
        at = self.vertex(spot, (late, not cutting))
        for index in reversed(range(len(args))):
            ends = (short, at) if cutting else (at, short)
            at = self.value(spot.below.get(f"args[{index}]"), *ends)
        return at
