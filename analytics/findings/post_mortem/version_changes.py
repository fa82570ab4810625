"""Whether points per run moved with a version: its runs against those of the version before it.

And what two versions' programs make of the same runs: each is tried on the other's runs, every pair once, every version's ways
through its program once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from analytics.estimates import comparisons, significance
from analytics.estimates.comparisons import Difference
from analytics.findings.post_mortem.baseline import LOOK_BACK, comparable, other_amounts
from analytics.findings.post_mortem.change_points import LEAST_ROWS, ChangePoint, Measure, moved_p
from analytics.findings.post_mortem.groups import Group, RunColumns, as_number
from analytics.findings.post_mortem.node_changes import STRAGGLERS, Activation, compared_values
from analytics.findings.replay.replay_run import Inputs, read_inputs
from analytics.findings.replay.replayed import BothVariants, Counterfactual, Replayed, both_ways, refusal, replayed
from analytics.findings.replay.trace_variants import MOST_RECORDED, Variants, find_variants
from analytics.findings.replay.trials import VersionTrial, judge, needs_both
from analytics.program.alternative import set_paths
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analytics.estimates.arrays import Ints

_ALWAYS = 0.98
"""Share of the runs that must read a field: one that only some read tells which way they went, not what came in."""
_MOST = 20_000
_MOVED = 0.05
_LEAST_RUNS = 30


@dataclass(frozen=True, slots=True)
class AlikeInputs:
    """What both versions' runs brought along.

    Attributes:
        fields: Those that nearly all runs of both read; without the built-in's answers, which are the versions' own.
        moved: Those of them, or ``externalGameId``, that moved though chance hardly moves them (q below 0.05).
    """

    fields: tuple[str, ...]
    moved: tuple[str, ...]

    @property
    def are_alike(self) -> bool:
        """There is something to compare, and none of it moved beyond chance."""
        return bool(self.fields) and not self.moved


def alike_inputs(lake: Warehouse, old: Variants, new: Variants) -> AlikeInputs | None:
    """Compare what came in under two versions; None where too few runs left a trace."""
    sides = [read_inputs(lake, side, most=_MOST) for side in (old, new)]
    if min(len(side.rows) for side in sides) < _LEAST_RUNS:
        return None
    written = set_paths(old.definition.program) | set_paths(new.definition.program)
    columns = [_always_read(side, written) for side in sides]
    names = [name for name in columns[0] if name in columns[1]]
    games = [[str(game) for game in side.rows["external_game_id"]] for side in sides]
    p_values = [p for name in names if (p := _p(columns[0][name], columns[1][name])) is not None]
    p_values.append(_game_p(games[0], games[1]))
    adjusted = comparisons.adjusted(p_values)
    lines = [*names, "externalGameId"]
    moved = tuple(name for name, q in zip(lines, adjusted, strict=True) if q < _MOVED)
    return AlikeInputs(tuple(names), moved)


def _always_read(inputs: Inputs, written: Collection[str]) -> dict[str, list[str | None]]:
    """Path → values of the fields that nearly all runs read, but for what a version has answered or written itself."""
    found: dict[str, list[str | None]] = {}
    for at, (phase, path) in enumerate(inputs.fields):
        is_own = path.startswith("parent.") or (phase == "post" and path in written)
        values = [row[at] for row in inputs.values]
        if not is_own and path not in found and sum(value is not None for value in values) >= _ALWAYS * len(values):
            found[path] = values
    return found


def _p(old: Sequence[str | None], new: Sequence[str | None]) -> float | None:
    tested = compared_values(old, new)
    return 1.0 if tested is None else tested.p


def _game_p(old: Sequence[str], new: Sequence[str]) -> float:
    """Chance alone (chi-square of the games' shares; Pearson, 1900)."""
    counts = [Counter(side) for side in (old, new)]
    names = sorted({*counts[0], *counts[1]})
    if len(names) < 2:
        return 1.0
    return significance.contingency_test([[count[name] for name in names] for count in counts])


_Key: TypeAlias = tuple[str | None, int | None, datetime, datetime]
"""Which runs: their version and when they ran."""


class Pairs:
    """What was tried so far.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        most: Runs of a version that are replayed at a time; of more, an even part is taken.
        part: The part of the logged runs that the groups' rows are of.
    """

    def __init__(self, lake: Warehouse, realm: str | None, most: int = MOST_RECORDED, *, part: float = 1.0) -> None:
        self.most, self.part = most, part
        self._lake, self._realm = lake, realm
        self._variants: dict[_Key, Variants | None] = {}
        self._tried: dict[tuple[_Key, str | None, int | None], Replayed | None] = {}

    def variants(self, side: Group) -> Variants | None:
        """The ways of a group's runs through their program; None where it holds several, or the lake lacks the program."""
        key = _key(side)
        if key not in self._variants:
            self._variants[key] = find_variants(self._lake, self._realm, side, part=self.part, most=self.most)
        return self._variants[key]

    def both_variants(self, before: Group | None, after: Group | None) -> BothVariants:
        """Of both groups."""
        old, new = (self.variants(side) if side is not None else None for side in (before, after))
        return old, new

    def tried(self, before: Group | None, after: Group | None, *, both: bool = False) -> Counterfactual:
        """The earlier program on the later runs; the other way round where that leaves much open, or if ``both``."""
        if reason := refusal(before, after, self.both_variants(before, after)):
            return Counterfactual(reason=reason)
        assert before is not None and after is not None  # noqa: S101  # it would have been refused
        forward = self._replayed(after, before)
        if forward is not None and forward.is_conclusive and not both:
            return Counterfactual(forward)
        return both_ways(forward, self._replayed(before, after))

    def trial(self, before: Group, after: Group) -> VersionTrial:
        """The later version on trial."""
        found = judge(before, after, self.tried(before, after))
        return judge(before, after, self.tried(before, after, both=True)) if needs_both(found) else found

    def alike(self, before: Group, after: Group) -> AlikeInputs | None:
        """Whether what both versions always read moved between them; None where there is no such thing."""
        old, new = self.both_variants(before, after)
        return None if old is None or new is None else alike_inputs(self._lake, old, new)

    def _replayed(self, runs: Group, program: Group) -> Replayed | None:
        """The program of one group on the runs of another."""
        key = (_key(runs), program.strategy_id, program.strategy_version)
        if key not in self._tried:
            inputs, other = self.variants(runs), self.variants(program)
            assert inputs is not None and other is not None  # noqa: S101  # it would have been refused
            self._tried[key] = replayed(self._lake, inputs, other.definition, program.label, most=self.most)
        return self._tried[key]


def _key(side: Group) -> _Key:
    return side.strategy_id, side.strategy_version, side.since, side.until


_FEW = 0.02
"""Share of the runs that may belong to versions which are not tried: stragglers."""
_MOST_VERSIONS = 6


@dataclass(frozen=True, slots=True)
class OneProgram:
    """The runs of a family as one of its programs pays them.

    Attributes:
        label: Of the program.
        runs: All rows; points and case are those of the program, which is the only label. A row for which that is not known has
            no points. The frame is that of the runs as they were.
    """

    label: str
    runs: RunColumns


def one_program(runs: RunColumns, scope: slice, pairs: Pairs, candidates: Mapping[str, Group]) -> OneProgram | None:
    """The series under the first of some programs that tells nearly all runs of every version.

    Args:
        runs: All rows of the family.
        scope: The rows that are to be told.
        pairs: What was tried already.
        candidates: Label and some runs of each program, the best reference first.

    Returns:
        None where one version ran all the time, or where no program tells the others' runs.
    """
    sides = _versions(runs, scope)
    if len(sides) < 2 or len(sides) > _MOST_VERSIONS:
        return None
    for label, program in candidates.items():
        if label not in sides:
            continue
        tried = []
        for other, side in sides.items():
            found = pairs.tried(program, side).forward if other != label else None
            if other != label and (found is None or not found.is_conclusive):
                break
            tried += [found] if found is not None else []
        else:
            return OneProgram(label, _replaced(runs, scope, label, tried))
    return None


def _versions(runs: RunColumns, scope: slice) -> dict[str, Group]:
    """The versions that ran in the scope, but for stragglers."""
    counts = np.bincount(runs.label[scope], minlength=len(runs.labels))
    return {
        runs.labels[number]: runs.group(runs.labels[number], runs.where(scope, runs.labels[number]))
        for number in np.flatnonzero(counts > _FEW * counts.sum()).tolist()
    }


def _replaced(runs: RunColumns, scope: slice, label: str, tried: Sequence[Replayed]) -> RunColumns:
    """All rows with that program's points and cases, and the weights of the rows that were taken of other versions."""
    import pandas as pd

    inside = np.zeros(len(runs.time), dtype=bool)
    inside[scope] = True
    is_own = runs.label == runs.labels.index(label)
    points, weight = np.where(is_own, runs.points, np.nan), runs.weight.copy()
    # Cases by number, those of the other programs behind the known ones: a million names as objects would take much memory.
    numbers, names = pd.factorize(runs.frame["case_name"])
    cases, known = numbers.astype(np.int32), {name: number for number, name in enumerate(names)}
    others = np.flatnonzero(inside & ~is_own)
    ids = runs.frame["execution_id"].iloc[others]
    for found in tried:
        rows = found.rows[found.rows["decided"].to_numpy(bool)]
        at = others[_places(ids, rows["execution_id"])]
        points[at], weight[at] = rows["would"].to_numpy(float), rows["weight"].to_numpy(float)
        lines = [name if isinstance(name, str) else None for name in rows["would_case"]]
        cases[at] = [-1 if name is None else known.setdefault(name, len(known)) for name in lines]
    return replace(
        runs,
        points=points,
        weight=weight,
        paid=runs.ok & np.isfinite(points),
        case=cases,
        label=np.zeros(len(points), dtype=np.int32),
        labels=(label,),
    )


def _places(ids: pd.Series, wanted: pd.Series) -> Ints:
    """Where some ids stand among others; all of them do. A million ids as Python's texts would take much memory."""
    import pyarrow as pa
    import pyarrow.compute as pc

    number = pc.index_in(pa.array(ids, pa.large_string()), value_set=pa.array(wanted, pa.large_string()))
    number = number.fill_null(-1).to_numpy()
    here = np.flatnonzero(number >= 0)
    places = np.full(len(wanted), -1, dtype=np.int64)
    places[number[here]] = here
    if (places < 0).any():
        raise KeyError(f"{int((places < 0).sum())} replayed runs are not among those of the strategy")
    return places


_CHANCE = 0.005
"""Largest chance at which a version that someone published is held to have changed points, by ranks."""
_STRONG = 1.75
"""Half-widths of the interval that do without ranks: a jackpot moves few of them."""
_JUST_BEFORE = 50
"""Rows before a version that say which version it followed."""
_USUAL = 0.9
"""Share of a case's runs with one amount, for it to be the case's amount."""
_LEAST = 5
_OTHER_MIX = 0.05


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A version and the one before it.

    Attributes:
        earlier, span: Their activations.
        before, after: Their rows.
        points: Change of points per run, at the same kinds of hours where they matter.
        is_matched: Both sides hold the same kinds of hours.
        p: Chance that nothing changed, by ranks, corrected for the number of versions.
        is_amount: A case pays another amount in nearly all of its runs, which no weekend does.
    """

    earlier: Activation
    span: Activation
    before: Ints
    after: Ints
    points: Difference
    is_matched: bool
    p: float
    is_amount: bool

    @property
    def label(self) -> str:
        """Of the later version."""
        return self.span.label

    @property
    def is_beyond_chance(self) -> bool:
        """The mean moved, and so did the runs: a mean of heavy-tailed amounts alone is easily off."""
        if not self.points.is_significant:
            return False
        if self.is_amount:
            return True
        return self.is_matched and (self.p < _CHANCE or strength(self.points) > _STRONG)

    def without(self, runs: RunColumns, measure: Measure, moved: ChangePoint) -> VersionChange | None:
        """The change of the version alone, where points moved at another moment too; ``None`` if that explains it."""
        before, after = self.before, self.after
        if moved.start > int(after[0]):
            after = after[after < moved.start]
        elif moved.stop > int(after[0]):
            before = before[before >= moved.start]
        else:
            before = before[(before < moved.start) | (before >= moved.stop)]
        if min(int(runs.paid[rows].sum()) for rows in (before, after)) < LEAST_ROWS:
            return None
        points, is_matched, is_amount = change_of_points(runs, before, after)
        held = replace(
            self,
            before=before,
            after=after,
            points=points,
            is_matched=is_matched,
            p=moved_p(measure, before, after)[1],
            is_amount=is_amount,
        )
        return held if held.is_beyond_chance else None


def strength(change: Difference) -> float:
    """The change in half-widths of its interval; zero when nothing can be said."""
    half = (change.change.high - change.change.low) / 2
    if not np.isfinite(half):
        return 0.0
    return abs(change.change.value) / half if half > 0 else (np.inf if change.change.value else 0.0)


def version_changes(
    runs: RunColumns, spans: Sequence[Activation], measure: Measure, since: datetime, until: datetime
) -> list[VersionChange]:
    """Every version first seen in a window, with the version that went before it.

    Going back to an earlier version undoes a change. It is the change's end, not another one, unless there is no other.
    """
    found = []
    for number, span in enumerate(spans):
        if number == 0 or not since <= span.first < until:
            continue
        earlier = _before(runs, spans[:number], span)
        if earlier is None:
            continue
        before = runs.where(runs.between(span.first - LOOK_BACK, span.first), earlier.label)
        after = runs.where(runs.between(span.first, as_number(min(span.last, until)) + 1), span.label)
        if len(before) and len(after):
            points, is_matched, amount = change_of_points(runs, before, after)
            _, p = moved_p(measure, before, after)
            found.append(VersionChange(earlier, span, before, after, points, is_matched, p, amount))
    forward = [item for item in found if is_forward(item.earlier, item.span, spans)]
    kept = forward or found
    return [replace(item, p=min(1.0, item.p * len(kept))) for item in kept]


def is_forward(earlier: Activation, span: Activation, spans: Sequence[Activation]) -> bool:
    """Whether a version is newer than the one before it; equal numbers are told apart by which was seen first."""
    if span.strategy_version != earlier.strategy_version:
        return span.strategy_version > earlier.strategy_version
    return not any(other.label == span.label and other.first < earlier.first for other in spans)


def change_of_points(runs: RunColumns, before: Ints, after: Ints) -> tuple[Difference, bool, bool]:
    """Change of points per run, whether its hours could be matched, and whether a case pays another amount.

    Where a case pays another amount, as many runs reach each case as before, and too few are logged for the mean of all to
    show it, the change is that of the amounts alone.
    """
    points, is_matched = comparable(runs, before, after)
    is_amount = amounts_moved(runs, before, after)
    if is_amount and not points.is_significant and _same_mix(runs, before, after):
        amounts = other_amounts(runs, before, after)
        points = amounts if amounts.is_significant else points
    return points, is_matched, is_amount


def _same_mix(runs: RunColumns, before: Ints, after: Ints) -> bool:
    """Whether the same shares of runs reach the cases, as far as chi-square tells (Pearson, 1900)."""
    sides = [np.bincount(runs.case[rows[runs.paid[rows]]] + 1, minlength=2) for rows in (before, after)]
    size = max(len(side) for side in sides)
    table = np.array([np.pad(side, (0, size - len(side))) for side in sides])
    table = table[:, table.sum(axis=0) > 0]
    return table.shape[1] < 2 or significance.contingency_test(table) > _OTHER_MIX


def amounts_moved(runs: RunColumns, before: Ints, after: Ints) -> bool:
    """Whether a case that paid one amount in nearly all of its runs now pays another one in nearly all."""
    before, after = before[runs.paid[before]], after[runs.paid[after]]
    cases, points = (runs.case[before], runs.case[after]), (runs.points[before], runs.points[after])
    seen = [
        np.bincount(side + 1, minlength=int(runs.case.max(initial=-1)) + 2) for side in cases
    ]  # those without are -1
    for case in (np.flatnonzero((seen[0] > 0) & (seen[1] > 0)) - 1).tolist():
        old, new = points[0][cases[0] == case], points[1][cases[1] == case]
        if len(old) < _LEAST or len(new) < _LEAST:
            continue
        was, now = float(np.median(old)), float(np.median(new))
        if was != now and (old == was).mean() >= _USUAL and (new == now).mean() >= _USUAL:
            return True
    return False


def _before(runs: RunColumns, earlier: Sequence[Activation], span: Activation) -> Activation | None:
    """The version live before a version came: the one with most of the rows just before it."""
    stop = runs.between(span.first, span.first).start
    just_before = runs.label[max(stop - 10 * _JUST_BEFORE, 0) : stop]
    names = [runs.labels[code] for code in just_before.tolist()]
    counted = [name for name in names if name != span.label][-_JUST_BEFORE:]
    choices = [other for other in earlier if other.label != span.label]
    # Of one version that came twice, the later activation.
    return max(choices, key=lambda other: (counted.count(other.label), other.first), default=None)


def rollback(spans: Sequence[Activation], span: Activation, earlier: str) -> Activation | None:
    """The activation that ended a version by going back.

    Args:
        spans: All of them, the earliest first.
        span: The version's.
        earlier: Label of the version it is compared with; going back to that one is a rollback whatever its number.
    """
    later = [
        other
        for other in _after(spans, span)
        if other.label == earlier or other.strategy_version < span.strategy_version
    ]
    return later[0] if later else None


def successor(spans: Sequence[Activation], span: Activation) -> Activation | None:
    """The version that came when this one was gone; ``None`` while it is live."""
    return next((other for other in _after(spans, span) if other.first >= span.last), None)


def _after(spans: Sequence[Activation], span: Activation) -> list[Activation]:
    """Activations that came later and outlasted one; stragglers do not count."""
    return [
        other
        for other in spans
        if other.first > span.first and other.last > span.last and other.logged_count > STRAGGLERS
    ]
