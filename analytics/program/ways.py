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
from typing import Any

from analytics.program.align import Alignment
from analytics.program.outline import Outline
from analytics.program.paths import END, Graph, Turn

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


def _lasting(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the post phase reads as the pre phase did: ``set_data`` may have changed the event's data meanwhile."""
    return {path: value for path, value in fields.items() if not path.startswith("data.")}


def _counted(graph: Graph, start: int, seen: int, count: int) -> Rest | None:
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
