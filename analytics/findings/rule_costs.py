"""What each rule of a program costs: the entries that all its places leave, per run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics import estimates
from analytics.estimate import graded
from analytics.estimates import NOTHING, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.findings.node_profile import Place
    from analytics.findings.program_sample import Way

MATCH, ELSEIF, ELSE, SKIP = "match", "elseif", "else", "skip"


@dataclass(frozen=True, slots=True)
class RuleCost:
    """A rule with all that hangs under it.

    Attributes:
        position: Of the rule; None for the default statements.
        words: Which one.
        rule_id: Its id, as its author wrote it.
        entries: Entries per run, estimated.
        unseen: Of these, those behind the cut of a trace.
        share: Part of all entries of the program.
        match: Estimated share of the runs that come by in which it or one of its ``else_if`` matches; NaN for none.
        repeats: The most entries that a run leaves under one id of it, estimated over the runs that leave one.
        types: The two node types that leave most.
    """

    position: int | None
    words: str
    rule_id: str | None
    entries: Estimate
    unseen: float
    share: float
    match: float
    repeats: float
    types: str


def rule_costs(ways: Sequence[Way], places: Sequence[Place], total: float) -> tuple[RuleCost, ...]:
    """Entries by rule: the number of them in each run is a value, weighed like its row.

    Args:
        ways: What the runs did.
        places: The program's places in walk order.
        total: Entries per run, of the whole program.
    """
    tops: dict[tuple[str, int | None], list[int]] = {}
    for place in places:
        tops.setdefault((place.node.section, place.node.rule_index), []).append(place.node.position)
    group = np.zeros(len(places), dtype=int)
    for number, positions in enumerate(tops.values()):
        group[positions] = number
    per_way = np.zeros((3, len(ways), len(tops)))  # at least, estimated, at most
    for at, way in enumerate(ways):
        seen = np.bincount(group[list(way.turns)], minlength=len(tops)) if way.turns else 0
        per_way[:, at] += seen
        if way.rest is not None:
            for position, share in way.rest.visits.items():
                sure = position in way.rest.sure
                per_way[:, at, group[position]] += (sure, share, 1)
        elif way.unseen:
            left = np.bincount(group, minlength=len(tops)) - seen
            per_way[2, at] += np.minimum(left, way.unseen)
    counts = np.array([way.logged_count for way in ways])
    weights = np.repeat([way.weight / way.logged_count for way in ways], counts)
    weight = float(weights.sum())
    repeats = _repeats(ways, places)
    found = []
    for number, positions in enumerate(tops.values()):
        top = places[positions[0]]
        low, value, high = (np.repeat(per_way[kind, :, number], counts) for kind in range(3))
        wide = [float(((end - value) * weights).sum()) / weight for end in (low, high)]
        entries = _per_run(value, weights, wide[0], wide[1], len(positions))
        is_rule = top.node.type == "rule"
        by_type: defaultdict[str, float] = defaultdict(float)
        for position in positions:
            by_type[str(places[position].node.type)] += places[position].entries.value
        found.append(
            RuleCost(
                top.node.position if is_rule else None,
                top.words if is_rule else "otherwise",
                top.node.node_id if is_rule else None,
                entries,
                sum(places[position].unseen for position in positions),
                entries.value / total if total else 0.0,
                sum(top.turns.get(turn, 0.0) for turn in (MATCH, ELSEIF)) if is_rule and top.turns else float("nan"),
                max((repeats.get(str(places[position].node.node_id), 1.0) for position in positions), default=1.0),
                ", ".join(sorted((name for name in by_type if by_type[name]), key=lambda name: -by_type[name])[:2]),
            )
        )
    return tuple(found)


def _per_run(value: NDArray[np.float64], weights: NDArray[np.float64], low: float, high: float, size: int) -> Estimate:
    """Mean entries per run; the interval is widened by what is not seen, and by runs that none of these is like."""
    if not len(value):
        return NOTHING
    # Runs that none of these is like differ by no more than the rule has places.
    found = estimates.mean(value, weights, ends=(0.0, float(size)))
    half = (found.high - found.low + high - low) / 2
    grade = estimates.worse(found.grade, graded(half, found.value))
    return replace(found, low=max(found.low + low, 0.0), high=found.high + high, grade=grade)


def _repeats(ways: Sequence[Way], places: Sequence[Place]) -> dict[str, float]:
    """Entries per run of each id that stands at several places, over the runs that leave one. A place alone never repeats."""
    holders = Counter(place.node.node_id for place in places)
    shared = {place.node.position: name for place in places if (name := place.node.node_id) and holders[name] > 1}
    entries: defaultdict[str, float] = defaultdict(float)
    runs: defaultdict[str, float] = defaultdict(float)
    for way in ways:
        own: defaultdict[str, float] = defaultdict(float)
        for position in way.turns:
            if position in shared:
                own[shared[position]] += 1.0
        for position, share in way.rest.visits.items() if way.rest is not None else ():
            if position in shared:
                own[shared[position]] += share
        for name, amount in own.items():
            entries[name] += way.weight * amount
            runs[name] += way.weight * min(amount, 1.0)
    return {name: entries[name] / runs[name] for name in entries if runs[name]}
