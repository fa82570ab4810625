"""Which costs explain the levels of a fleet: fields, built-ins, a field in one realm, a field since a day, a program itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from analytics.findings.runaway.keys import Key
from analytics.findings.timing import robust_nnls as regression
from analytics.findings.timing.levels import Level

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_CLEAR = 18.0
"""Drop of twice the loss that a further cause must bring: 4.2 standard errors, for there are hundreds to choose from."""
_TIE = 4.0
"""Two causes this close cannot be told apart (two standard errors)."""
_MOST_MOVES = 12


@dataclass(frozen=True, slots=True)
class Cost:
    """A column of the regression.

    Attributes:
        kind: ``rest``, ``walk``, ``field``, ``built-in`` or ``own`` (time that one program has for itself).
        names: Field paths or ids of built-ins; several where nothing tells them apart; empty for the rest.
        in_realm: Whether it is the cost in one realm only.
        realm: That realm; None is the NULL realm.
        since: First day of it; None for always.
    """

    kind: str
    names: tuple[str, ...] = ()
    in_realm: bool = False
    realm: str | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What a version reads besides its nodes.

    Attributes:
        fields: Its analytics fields: each costs a query per run, whatever the walk touches.
        built_in: The built-in that it wraps; None for none.
    """

    fields: tuple[str, ...] = ()
    built_in: str | None = None


@dataclass(frozen=True, slots=True)
class Causes:
    """What the fleet's levels are made of.

    Attributes:
        costs: The columns.
        design: Row per level, column per cost.
        fit: The regression.
        mixed: Projection onto what cannot be told.
        rows: The levels that took part, in the design's order.
    """

    costs: list[Cost]
    design: Floats
    fit: regression.Fit
    mixed: Floats
    rows: list[Level]


@dataclass(frozen=True, slots=True)
class _Move:
    cost: Cost
    column: Floats
    base: int
    ms: float
    drop: float


def causes(
    levels: Sequence[Level], read: Mapping[Key, Read], changes: Sequence[date], *, with_nodes: bool, least_ms: float
) -> Causes | None:
    """Explain the levels, first by the same cost of every field everywhere, then by what stands out.

    Args:
        levels: Of versions; those whose program is not known are left out.
        read: What each version reads.
        changes: Days on which some version changed.
        with_nodes: The runs of no version say what a node costs, so that the programs must.
        least_ms: What is smaller than that does not stand out.
    """
    import numpy as np

    rows = [level for level in levels if level.key in read]
    if len(rows) < 2:
        return None
    columns = [Cost("rest")]
    design = [np.ones(len(rows))]
    if with_nodes:
        columns.append(Cost("walk"))
        design.append(np.array([level.nodes for level in rows]))
    for path in sorted({path for level in rows for path in read[level.key].fields}):
        columns.append(Cost("field", (path,)))
        design.append(np.array([float(path in read[level.key].fields) for level in rows]))
    for name in sorted({read[level.key].built_in or "" for level in rows} - {""}):
        columns.append(Cost("built-in", (name,)))
        design.append(np.array([float(read[level.key].built_in == name) for level in rows]))
    families = np.unique([repr(level.key.family) for level in rows], return_inverse=True)[1].astype(np.int64)
    ms, error = np.array([level.ms for level in rows]), np.array([level.error for level in rows])
    matrix = np.column_stack(design)
    found = regression.fit(matrix, ms, error, families)
    for _ in range(min(_MOST_MOVES, len(rows) - 1)):
        moves = _moves(found, columns, matrix, rows, read, changes, families, least_ms)
        if not moves or moves[0].drop < _CLEAR:
            break
        columns, matrix = _taken(moves, columns, matrix)
        found = regression.fit(matrix, ms, error, families)
    return Causes(columns, matrix, found, regression.mixed(matrix, families), rows)


def _moves(
    found: regression.Fit, columns: list[Cost], matrix: Floats, rows: list[Level], read: Mapping[Key, Read],
    changes: Sequence[date], families: NDArray[np.int64], least_ms: float,
) -> list[_Move]:  # fmt: skip
    """Further causes, the one that explains most first."""
    import numpy as np

    tried: list[tuple[Cost, Floats, int]] = []
    for at, cost in enumerate(columns):
        if cost.kind in ("field", "built-in") and len(cost.names) == 1:
            tried += [(new, part, at) for new, part in _parts(cost, matrix[:, at], rows, changes)]
    for family in range(int(families.max()) + 1):
        own = families == family
        tried.append((Cost("own"), own.astype(float), -1))
        for row in np.flatnonzero(own):
            if own.sum() > 1 and _unprompted(rows, read, int(row), own):
                tried.append((Cost("own"), (np.arange(len(rows)) == row).astype(float), -1))
    moves = []
    for cost, column, base in tried:
        ms, drop = regression.gain(found, column)
        repeated = any(np.array_equal(column, np.abs(matrix[:, at])) for at in range(matrix.shape[1]) if at != base)
        if abs(ms) >= least_ms and not (repeated and base < 0):
            moves.append(_Move(cost, column, base, ms, drop))
    return sorted(moves, key=lambda move: -move.drop)


def _parts(cost: Cost, column: Floats, rows: list[Level], changes: Sequence[date]) -> list[tuple[Cost, Floats]]:
    """A cost in one realm, since a day, or both; not where that would be all of it."""
    import numpy as np

    found = []
    realms = list(dict.fromkeys(level.key.realm for level, one in zip(rows, column, strict=True) if one))
    places: list[tuple[bool, str | None]] = [(False, None)]
    places += [(True, realm) for realm in realms] if not cost.in_realm and len(realms) > 1 else []
    days: list[date | None] = [None, *(changes if cost.since is None else ())]
    for inside, realm in places:
        for day in days:
            if not inside and day is None:
                continue
            late = 0 if day is None else changes.index(day) + 1
            part = np.array(
                [
                    one if (not inside or level.key.realm == realm) and level.stretch >= late else 0.0
                    for level, one in zip(rows, column, strict=True)
                ]
            )
            if part.any() and not np.array_equal(part, column):
                scoped = replace(cost, in_realm=True, realm=realm) if inside else cost
                found.append((replace(scoped, since=day or cost.since), part))
    return found


def _unprompted(rows: list[Level], read: Mapping[Key, Read], row: int, own: NDArray[np.bool_]) -> bool:
    """Whether another version of the family reads the same: then a difference between them is not the fields'."""
    key = rows[row].key
    return any(
        own[other] and level.key != key and read[level.key] == read[key] for other, level in enumerate(rows)
    ) and not any(own[other] and level.key == key and other != row for other, level in enumerate(rows))


def _taken(moves: list[_Move], columns: list[Cost], matrix: Floats) -> tuple[list[Cost], Floats]:
    """Take the best cause; where others explain as much, all of them together, for nothing tells them apart."""
    import numpy as np

    best = moves[0]
    close = [
        move for move in moves
        if np.array_equal(move.column, best.column)
        or (best.drop - move.drop < _TIE and abs(move.ms - best.ms) < 0.3 * abs(best.ms))
    ]  # fmt: skip
    # The same field with and without a day explains the same: the simpler is meant.
    simplest: dict[tuple[str, tuple[str, ...]], _Move] = {}
    for move in sorted(close, key=lambda move: (move.cost.since is not None) + move.cost.in_realm):
        simplest.setdefault((move.cost.kind, move.cost.names), move)
    kinds = {kind for kind, _ in simplest}
    if len(simplest) == 1 and "own" not in kinds:
        chosen = next(iter(simplest.values()))
        columns, matrix = [*columns, chosen.cost], np.column_stack([matrix, chosen.column])
        matrix[:, chosen.base] -= chosen.column
        return columns, matrix
    names = tuple(sorted({name for move in simplest.values() for name in move.cost.names}))
    scope = next((move.cost for move in simplest.values() if move.cost.names), best.cost)
    cost = replace(scope, kind="own" if "own" in kinds else "field", names=names)
    return [*columns, cost], np.column_stack([matrix, np.sign(best.ms) * best.column])
