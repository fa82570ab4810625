"""Whether the same came in: fields that the runs of two versions always read, and the games they are of, compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.estimates import comparisons
from analytics.findings.post_mortem.node_changes import compared_values
from analytics.findings.replay.recorded_inputs import Inputs, read_inputs
from analytics.findings.replay.trace_variants import Variants
from analytics.program.instead import set_paths
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
    told = [*names, "externalGameId"]
    moved = tuple(name for name, q in zip(told, adjusted, strict=True) if q < _MOVED)
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
    return 1.0 if tested is None else float(tested[-2])


def _game_p(old: Sequence[str], new: Sequence[str]) -> float:
    """Chance alone (chi-square of the games' shares; Pearson, 1900)."""
    from scipy import stats

    counts = [Counter(side) for side in (old, new)]
    names = sorted({*counts[0], *counts[1]})
    if len(names) < 2:
        return 1.0
    return float(stats.chi2_contingency([[count[name] for name in names] for count in counts]).pvalue)
