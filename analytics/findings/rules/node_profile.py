"""What every place of a program does: how many entries it leaves, how often it matches or holds, and what of that is not seen.

A node is a place in the program and not an id: ids repeat, may be null, and are shared by both phases of DSL_EXTEND. A run comes
by a place at most once. Entries behind the cut of a trace are those of the ways that fit the run's row (``program.paths``): on
ok runs their number is known exactly, and so is where they were left when one way fits. Where several fit, a place has left
something between nothing and one entry, and the estimate is its share of these ways.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimators
from analytics.estimates.estimate import graded
from analytics.estimates.estimators import NOTHING, Estimate
from analytics.findings.replay.trace_variants import CONDITIONS
from analytics.findings.rules.trace_sample import TraceSample
from analytics.findings.runaway.keys import Key
from analytics.program import AstNode, words
from analytics.program.paths import Branch
from analytics.program.proofs import Proof, proofs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analytics.findings.rules.trace_sample import PathGroup


@dataclass(slots=True)
class LookCounts:
    """What the rows that were read prove about one place. Counts of logged runs.

    Attributes:
        sure: Runs that came by for certain.
        behind: Of the sure ones, those behind the cut: no trace shows them, no other way fits.
        maybe: Runs that may have come by behind the cut of their trace.
        turns: Branch → runs that took it for certain.
        maybe_turns: Branch → runs that may have taken it.
        weight: Sum of the weights of the sure ones.
    """

    sure: int = 0
    behind: int = 0
    maybe: int = 0
    turns: Counter[Branch] = field(default_factory=Counter)
    maybe_turns: Counter[Branch] = field(default_factory=Counter)
    weight: float = 0.0

    def counts(self, wanted: Iterable[Branch]) -> tuple[int, int]:
        """Runs that took one of these turns for certain, and those that may have."""
        turns = set(wanted)
        return sum(self.turns[turn] for turn in turns), sum(self.maybe_turns[turn] for turn in turns)


@dataclass(frozen=True, slots=True)
class NodeProfile:
    """One node of the program.

    Attributes:
        node: Where and what it is.
        words: The same for a reader.
        entries: Entries per run, estimated.
        unseen: Of these, those behind the cut of a trace.
        turns: Branch → estimated share of the runs that come by; branches of rules without their number, conditions true or false.
        looks: What that rests on.
    """

    node: AstNode
    words: str
    entries: Estimate
    unseen: float
    turns: Mapping[Branch, float]
    looks: LookCounts


@dataclass(frozen=True, slots=True)
class ProgramProfile:
    """What a version's runs do, place by place.

    Attributes:
        sample: The runs it rests on.
        is_recent: Entries and shares are of the window; False when it has no such run: then of the days before it.
        run_count: Logged runs that entries and shares rest on.
        entries: Entries per run, estimated.
        unseen: Share of all entries that lie behind the cut.
        places: In walk order.
        rules: In walk order.
        proven: Position → what the program proves of that place.
    """

    sample: TraceSample
    is_recent: bool
    run_count: int
    entries: float
    unseen: float
    places: tuple[NodeProfile, ...]
    rules: tuple[RuleCost, ...]
    proven: Mapping[int, Proof]

    @property
    def key(self) -> Key:
        """Which version."""
        return self.sample.key


def profile_program(sample: TraceSample) -> ProgramProfile | None:
    """Add up what the runs did; None when no run fits the program."""
    is_recent = any(way.is_recent for way in sample.ways)
    ways = [way for way in sample.ways if way.is_recent == is_recent]
    nodes = sample.definition.outline.nodes
    weight = sum(way.weight for way in ways)
    if not weight:
        return None
    effective = weight**2 / sum(way.weight_square for way in ways)
    run_count = sum(way.logged_count for way in ways)
    low, value, high, unseen = (np.zeros(len(nodes)) for _ in range(4))
    turns: list[defaultdict[Branch, float]] = [defaultdict(float) for _ in nodes]
    for way in ways:
        part = way.weight / weight
        for position, turn in way.turns.items():
            low[position] += part
            turns[position][_turn_kind(turn) if isinstance(turn, str) else turn] += part
        if way.rest is not None:
            for position, share in way.rest.visits.items():
                unseen[position] += part * share
                high[position] += part * (1 - (share if position in way.rest.sure else 0))
                low[position] += part * (position in way.rest.sure)
            for (position, turn), share in way.rest.turns.items():
                turns[position][_turn_kind(turn) if isinstance(turn, str) else turn] += part * share
        elif way.unseen:
            seen = np.ones(len(nodes), dtype=bool)
            seen[list(way.turns)] = False
            high[seen] += part
    value = np.array([sum(counter.values()) for counter in turns])
    high = np.maximum(low + high, value)
    looks = _looks(sample, len(nodes))
    places = tuple(
        NodeProfile(
            node,
            words.place(sample.definition.outline, node.position),
            _share(low[at], value[at], high[at], effective, run_count),
            float(unseen[at]),
            {turn: part / value[at] for turn, part in turns[at].items()} if value[at] else {},
            looks[at],
        )
        for at, node in enumerate(nodes)
    )
    stored = sum(way.weight * len(way.turns) for way in ways) / weight
    behind = sum(way.weight * way.unseen for way in ways) / weight
    return ProgramProfile(
        sample, is_recent, run_count, stored + behind, behind / (stored + behind), places,
        rule_costs(ways, places, stored + behind), proofs(sample.definition.outline),
    )  # fmt: skip


def _turn_kind(turn: Branch) -> Branch:
    return ELSEIF if isinstance(turn, str) and turn.startswith(ELSEIF) else turn


def _share(low: float, value: float, high: float, effective: float, rows: int) -> Estimate:
    """A share of runs (Wilson, on Kish's effective count), widened by what nobody can see."""
    found = estimators.share(value * effective, effective, rows=rows)
    bottom = estimators.share(min(low, 1.0) * effective, effective).low
    top = estimators.share(min(high, 1.0) * effective, effective).high
    half = (top - bottom) / 2
    grade = "good" if half <= 0.05 else "rough" if half <= 0.15 else "too few"
    return replace(found, low=bottom, high=top, grade=estimators.worse(found.grade, grade))


def _looks(sample: TraceSample, size: int) -> list[LookCounts]:
    """Counts over all rows that were read, those before the window too."""
    found = [LookCounts() for _ in range(size)]
    nodes = sample.definition.outline.nodes
    for way in sample.ways:
        count, weight = way.logged_count, way.weight
        for position, turn in way.turns.items():
            one = found[position]
            one.sure += count
            one.weight += weight
            one.turns[_turn_kind(turn) if isinstance(turn, str) else turn] += count
        if way.rest is not None:
            for position in way.rest.visits:
                sure = position in way.rest.sure
                found[position].sure += sure
                found[position].behind += sure
                found[position].weight += way.weight * sure
                found[position].maybe += not sure
            for position, turn in way.rest.turns:
                sure = (position, turn) in way.rest.sure_turns
                # A condition whose outcome decides nothing there is not computed: it may have been either.
                open_ended = turn is None and nodes[position].type in CONDITIONS
                kind = _turn_kind(turn) if isinstance(turn, str) else turn
                for taken in (True, False) if open_ended else (kind,):
                    counter = found[position].turns if sure and not open_ended else found[position].maybe_turns
                    counter[taken] += 1
        elif way.unseen:
            for position in range(size):
                if position not in way.turns:
                    _count_any_turn(found[position], nodes[position].type)
    return found


def _count_any_turn(looks: LookCounts, kind: str | None) -> None:
    looks.maybe += 1
    for turn in (MATCH, ELSEIF, ELSE, SKIP) if kind == "rule" else (True, False):
        looks.maybe_turns[turn] += 1


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


def rule_costs(ways: Sequence[PathGroup], places: Sequence[NodeProfile], total: float) -> tuple[RuleCost, ...]:
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
    found = estimators.mean(value, weights, ends=(0.0, float(size)))
    half = (found.high - found.low + high - low) / 2
    grade = estimators.worse(found.grade, graded(half, found.value))
    return replace(found, low=max(found.low + low, 0.0), high=found.high + high, grade=grade)


def _repeats(ways: Sequence[PathGroup], places: Sequence[NodeProfile]) -> dict[str, float]:
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
