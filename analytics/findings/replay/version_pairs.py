"""Pairs of versions, each program tried on the other's runs: every pair once, every version's ways through its program once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from analytics.estimates import comparisons
from analytics.findings.post_mortem.groups import Group
from analytics.findings.post_mortem.node_changes import compared_values
from analytics.findings.replay.replay_run import MOST_RECORDED, Inputs, read_inputs
from analytics.findings.replay.replayed import BothVariants, Counterfactual, Replayed, both_ways, refusal, replayed
from analytics.findings.replay.trace_variants import Variants, find_variants
from analytics.findings.replay.trials import VersionTrial, judge, needs_both
from analytics.program.alternative import set_paths
from analytics.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALWAYS = 0.98
"""Share of the runs that must read a field: one that only some read tells which way they went, not what came in."""
_MOST = 20_000
_MOVED = 0.05
_LEAST = 30


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
    if min(len(side.rows) for side in sides) < _LEAST:
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
    from scipy import stats

    counts = [Counter(side) for side in (old, new)]
    names = sorted({*counts[0], *counts[1]})
    if len(names) < 2:
        return 1.0
    return float(stats.chi2_contingency([[count[name] for name in names] for count in counts]).pvalue)


_Key: TypeAlias = tuple[str | None, int | None, datetime, datetime]
"""Which runs: their version and when they ran."""


class Pairs:
    """What was tried so far.

    Args:
        lake: Where the runs are.
        realm: Their tenant.
        most: Runs of a version that are replayed at a time; of more, an even part is taken.
    """

    def __init__(self, lake: Warehouse, realm: str | None, most: int = MOST_RECORDED) -> None:
        self.most = most
        self._lake, self._realm = lake, realm
        self._variants: dict[_Key, Variants | None] = {}
        self._tried: dict[tuple[_Key, str | None, int | None], Replayed | None] = {}

    def variants(self, side: Group) -> Variants | None:
        """The ways of a group's runs through their program; None where it holds several, or the lake lacks the program."""
        key = _key(side)
        if key not in self._variants:
            self._variants[key] = find_variants(self._lake, self._realm, side)
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
