"""Where the time of a run goes: the walk, each analytics field, a wrapped built-in, the rest, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from analytics.estimates.estimate import NOTHING, Z_95, Estimate, graded
from analytics.findings.runaway.keys import Key
from analytics.findings.timing import cost_model
from analytics.findings.timing.cost_model import CostKind, CostTerm, FleetCauses, ProgramInputs, causes
from analytics.findings.timing.levels import Level, Levels, levels

if TYPE_CHECKING:
    import pandas as pd


TIMES, EXTRA_MS = 3.0, 10.0
"""Slow is more than so many times, and so many milliseconds above, what the nodes and the rest explain."""
LEAST_REST = 0.5
"""Milliseconds that every run may take beside nodes and queries."""


class Verdict(StrEnum):
    """What makes a version slow. The first three: slower than its nodes explain, whatever they cost within the interval."""

    FIELD = "field"
    BUILT_IN = "built-in"
    CANNOT_TELL = "cannot tell"
    RULES = "rules"
    """Slower than others, and its nodes surely explain it."""
    UNCLEAR = "unclear"
    """Nodes may explain it or may not, for what they cost is not known well enough."""
    FINE = "fine"

    @property
    def is_slow(self) -> bool:
        """Slower than the nodes explain."""
        return self in (Verdict.FIELD, Verdict.BUILT_IN, Verdict.CANNOT_TELL)


class TimePartKind(StrEnum):
    """What a part of a run's time is spent on."""

    WALK = "walk"
    FIELD = "field"
    BUILT_IN = "built-in"
    REST = "rest"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class TimePart:
    """A part of a run's time.

    Attributes:
        kind: What it is spent on.
        names: Fields or built-ins; several when only their sum can be told. For what cannot be told: who may be the reason.
        ms: Milliseconds per run with 95 % interval.
        in_realm, realm: Whether it is what the field costs in this realm alone, unlike elsewhere.
        since: First day of this cost; None when it was never seen to change.
    """

    kind: TimePartKind
    names: tuple[str, ...]
    ms: Estimate
    in_realm: bool = False
    realm: str | None = None
    since: date | None = None


def explained_by(walk: Estimate, rest: Estimate | None) -> Estimate:
    """Milliseconds that nodes and the rest of every run explain; no upper end when nothing tells what a node costs.

    Args:
        walk: Milliseconds of the nodes; NaN when they cannot be told.
        rest: Of every run; None when it cannot be told.
    """
    known = [part for part in (walk, rest) if part is not None and math.isfinite(part.value)]
    value = max(sum(part.value for part in known), LEAST_REST)
    up = math.hypot(*(part.high - part.value for part in known))
    down = math.hypot(*(part.value - part.low for part in known))
    high = value + up if math.isfinite(walk.value) else math.inf
    return Estimate(value, max(value - down, 0.0), high, walk.logged_count, graded(high - value, value))


def decide_verdict(
    ms: Estimate,
    due: Estimate,
    walk: Estimate,
    parts: Sequence[TimePart],
    middle: float,
    extra_ms: float,
    times: float,
) -> tuple[Verdict, tuple[TimePart, ...]]:
    """What to say of a version, and the parts that it rests on.

    What is said holds over the whole interval of what it rests on; what holds at the best value alone is `Verdict.UNCLEAR`.

    Args:
        ms: Median time.
        due: What nodes and the rest explain.
        walk: What the nodes take; NaN when they cannot be told.
        parts: All that is known.
        middle: The fleet's middle median, ms.
        extra_ms, times: What is slow.

    Returns:
        The verdict, and whom it blames.
    """

    def slow(took: float, than: float) -> bool:
        return took > times * than and took - than > extra_ms

    extra = ms.value - due.value
    if slow(ms.low, due.high):
        sure = sorted(
            (part for part in parts if part.kind in _CAUSES and part.ms.low > 0), key=lambda part: -part.ms.value
        )
        blamed: list[TimePart] = []
        for part in sure:
            blamed.append(part)
            if sum(one.ms.low for one in blamed) >= extra / 2:
                return _CAUSES[blamed[0].kind], tuple(blamed)
        return Verdict.CANNOT_TELL, tuple(part for part in parts if part.kind == TimePartKind.CANNOT_TELL)
    nodes = tuple(part for part in parts if part.kind == TimePartKind.WALK)
    half = (ms.value - middle) / 2
    is_long = slow(ms.value, middle)
    if is_long and walk.low >= half:
        return Verdict.RULES, nodes
    may_be_nodes = due.high >= ms.value / 2  # what is merely close to being slow is fine
    if (slow(ms.value, due.value) and may_be_nodes) or (is_long and walk.value >= half):
        return Verdict.UNCLEAR, nodes
    return Verdict.FINE, ()


_CAUSES = {TimePartKind.FIELD: Verdict.FIELD, TimePartKind.BUILT_IN: Verdict.BUILT_IN}
"""Parts that can be blamed, and what is then said."""
_SMALL_MS = 0.1


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """The time of one version.

    Attributes:
        key: Which version.
        ms: Median time of its ok runs.
        nodes: Their median nodes.
        parts: What it is made of; they sum up to the median as far as they are known.
        per_node: Milliseconds per node.
        own_slope: Whether its own runs say what its nodes cost, or other programs do.
        explained: Milliseconds that its nodes and the rest of every run explain; no upper end when nothing tells what a node
            costs.
        verdict: What makes it slow.
        blamed: The parts that make it slow; of `Verdict.UNCLEAR` the walk.
    """

    key: Key
    ms: Estimate
    nodes: float
    parts: tuple[TimePart, ...]
    per_node: Estimate
    own_slope: bool
    explained: Estimate
    verdict: Verdict
    blamed: tuple[TimePart, ...]

    @property
    def is_slow(self) -> bool:
        """Slower than its nodes explain, whatever they cost within the interval."""
        return self.verdict.is_slow


@dataclass(frozen=True, slots=True)
class Fleet:
    """What single things cost in the whole fleet.

    Attributes:
        splits: One per version that was asked for.
        costs: Each field, built-in and the rest of every run, with what cannot be told apart as such.
        per_node: A typical program's milliseconds per node; NaN when nothing tells.
        levels: What it all rests on.
    """

    splits: tuple[TimeSplit, ...]
    costs: tuple[TimePart, ...]
    per_node: float
    levels: Levels


def split(
    frame: pd.DataFrame,
    read: Mapping[Key, ProgramInputs],
    versions: Mapping[Key, tuple[Estimate, float]],
    *,
    extra_ms: float = EXTRA_MS,
    times: float = TIMES,
) -> Fleet:
    """Split the time of versions.

    Durations are a fixed rest, a part that grows with the nodes, and one database query for each analytics field that the
    program reads. What a node costs comes from runs of the same program (`levels`), what a field costs from programs and
    versions that differ in the fields they read (`cost_model`), both from medians. A part is the contribution to the median
    time, which for the skewed times of queries is a little more than the query's own median.

    Args:
        frame: Runs as `levels` takes them.
        read: What each version reads; versions whose program is not known are not in it.
        versions: Those whose time is wanted: median time and median nodes.
        extra_ms, times: What is slow.
    """
    found = levels(frame, extra_ms=extra_ms, times=times)
    with_nodes = not math.isfinite(found.per_node)
    why = causes(found.levels, read, found.changes, with_nodes=with_nodes, least_ms=extra_ms / 4)
    typical = sorted(ms.value for ms, _ in versions.values() if math.isfinite(ms.value))
    middle = typical[len(typical) // 2] if typical else math.nan
    known = _Known(found, why, read, middle, extra_ms, times)
    splits = tuple(
        _split(key, ms, nodes, known)
        for key, (ms, nodes) in versions.items()
        if math.isfinite(ms.value) and math.isfinite(nodes)
    )
    return Fleet(splits, tuple(_costs(why)) if why else (), found.per_node, found)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the split of every version rests on.

    Attributes:
        levels: Of all versions.
        causes: What explains them; None where too few are known.
        read: What each version reads.
        middle: The fleet's middle median, ms; NaN without any.
        extra_ms, times: What is slow.
    """

    levels: Levels
    causes: FleetCauses | None
    read: Mapping[Key, ProgramInputs]
    middle: float
    extra_ms: float
    times: float


def _split(key: Key, ms: Estimate, nodes: float, known: _Known) -> TimeSplit:
    why, extra_ms, times = known.causes, known.extra_ms, known.times
    per_node = _per_node(key, known.levels, why)
    walk, rest = _scaled(per_node, nodes), _rest(why)
    parts = [TimePart(TimePartKind.WALK, (), walk)] if math.isfinite(walk.value) else []
    row = _last(why, key)
    told, suspects, unsure = _identifiable_parts(why, row) if why is not None and row is not None else ([], (), True)
    parts += told
    left = ms.value - sum(part.ms.value for part in parts)
    half = math.hypot(
        *(
            (part.ms.high - part.ms.low) / 2
            for part in [*parts, TimePart(TimePartKind.REST, (), ms)]
            if _bounded(part.ms)
        )
    )
    base = rest.value if rest is not None else 0.0
    if not unsure and rest is not None and left > times * max(base, LEAST_REST) and left - base > extra_ms:
        unsure = True  # nothing it reads explains it
    if not unsure:
        parts.append(TimePart(TimePartKind.REST, (), _around(max(left, 0.0), half, ms.logged_count)))
    else:
        if rest is not None:
            of_rest = rest if left >= base else _around(max(left, 0.0), half, ms.logged_count)
            parts.append(TimePart(TimePartKind.REST, (), of_rest))
        if left - base > _SMALL_MS:
            names = suspects or known.read.get(key, ProgramInputs()).fields
            parts.append(TimePart(TimePartKind.CANNOT_TELL, names, _around(left - base, half, ms.logged_count)))
    explained = explained_by(walk, rest)
    verdict, blamed = decide_verdict(ms, explained, walk, parts, known.middle, extra_ms, times)
    if verdict.is_slow and rest is None and not blamed:
        verdict = Verdict.FINE  # nothing to compare with: what a run takes beside its nodes is not known at all
    return TimeSplit(key, ms, nodes, tuple(parts), per_node, key in known.levels.own_slope, explained, verdict, blamed)


def _bounded(estimate: Estimate) -> bool:
    return math.isfinite(estimate.low) and math.isfinite(estimate.high)


def _around(value: float, half: float, rows: int) -> Estimate:
    return Estimate(value, max(value - half, 0.0), value + half, rows, graded(half, value))


def _per_node(key: Key, found: Levels, why: FleetCauses | None) -> Estimate:
    slope, error = found.slopes.get(key, (found.per_node, math.nan))
    rows = int(sum(level.rows for level in found.levels if level.key == key))
    if math.isfinite(slope) and math.isfinite(error):
        return _around(slope, Z_95 * error, rows)
    at = next((at for at, cost in enumerate(why.costs) if cost.kind is CostKind.WALK), None) if why else None
    if why is None or at is None or not cost_model.is_identifiable(why.null_space, [at]):
        return NOTHING
    value, low, high = cost_model.interval(why.fit, [at])
    return Estimate(value, low, high, rows, graded((high - low) / 2, value))


def _scaled(estimate: Estimate, by: float) -> Estimate:
    if by == 0:
        return Estimate(0.0, 0.0, 0.0, estimate.logged_count, "good")
    return Estimate(estimate.value * by, estimate.low * by, estimate.high * by, estimate.logged_count, estimate.grade)


def _last(why: FleetCauses | None, key: Key) -> int | None:
    """The newest stretch of a version."""
    rows = [at for at, level in enumerate(why.rows) if level.key == key] if why else []
    return rows[-1] if rows else None


def _rest(why: FleetCauses | None) -> Estimate | None:
    """What every run takes beside nodes and queries; None when it cannot be told."""
    if why is None or not cost_model.is_identifiable(why.null_space, [0]):
        return None
    return _estimate(why, [0])


def _estimate(why: FleetCauses, members: list[int], users: Sequence[Level] | None = None) -> Estimate:
    value, low, high = cost_model.interval(why.fit, members)
    rows = why.rows if users is None else users
    return Estimate(value, low, high, int(sum(level.rows for level in rows)), graded((high - low) / 2, value))


def _identifiable_parts(why: FleetCauses, row: int) -> tuple[list[TimePart], tuple[str, ...], bool]:
    """The parts of a level that can be told, who else may be the reason, and whether something cannot be told."""
    members = [
        at for at, one in enumerate(why.design[row]) if one and why.costs[at].kind not in (CostKind.REST, CostKind.WALK)
    ]
    own = [at for at in members if why.costs[at].kind is CostKind.PROGRAM]
    suspects = [name for at in own for name in why.costs[at].names]
    members = [at for at in members if at not in own]
    groups = cost_model.groups(why.null_space, [0, *members])
    alone = [[at] for at in members if not any(at in group for group in groups)]
    parts = []
    unsure = bool(own)
    for group in [*alone, *groups]:
        if 0 not in group and cost_model.is_identifiable(why.null_space, group):
            parts.append(_part(why, group))
        elif group != [0]:
            unsure = True
            suspects += [name for at in group for name in why.costs[at].names]
        else:
            unsure = True
    # A queue of costs of nothing says nothing.
    return sorted(parts, key=lambda part: -part.ms.value), tuple(dict.fromkeys(suspects)), unsure


def _part(why: FleetCauses, group: list[int]) -> TimePart:
    first: CostTerm = why.costs[group[0]]
    names = tuple(dict.fromkeys(name for at in group for name in why.costs[at].names))
    users = [level for level, row in zip(why.rows, why.design, strict=True) if any(row[at] for at in group)]
    scoped = len(group) == 1
    return TimePart(
        TimePartKind(first.kind.value), names, _estimate(why, group, users),
        scoped and first.in_realm, first.realm if scoped else None, first.since if scoped else None,
    )  # fmt: skip


def _costs(why: FleetCauses) -> list[TimePart]:
    """Every cost of the fleet once: what can be told alone, what only as a sum, and what cannot be told."""
    members = [
        at
        for at, cost in enumerate(why.costs)
        if cost.kind in (CostKind.FIELD, CostKind.BUILT_IN) and why.design[:, at].any()
    ]
    groups = cost_model.groups(why.null_space, members)
    rest = _rest(why)
    found = [TimePart(TimePartKind.REST, (), rest)] if rest is not None else []
    for group in [*([at] for at in members if not any(at in other for other in groups)), *groups]:
        part = _part(why, group)
        if not cost_model.is_identifiable(why.null_space, group):
            part = TimePart(TimePartKind.CANNOT_TELL, part.names, NOTHING, part.in_realm, part.realm, part.since)
        found.append(part)
    return found
