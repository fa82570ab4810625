"""Which costs explain the levels of a fleet: fields, built-ins, a field in one realm, a field since a day, a program itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from analytics.findings.runaway.keys import Key
from analytics.findings.timing.levels import Level

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.estimates.arrays import Floats, Ints


_HUBER = 1.345
_TINY = 1e-8
_FLOORS = (0.10, 0.10)
"""Least standard deviation between versions and between families, ms: no two programs take quite the same."""
_RELATIVE = 0.03
"""Least relative one of a level: medians of sums are not sums of medians."""


_BIAS = 0.05
"""Of a cost: how far medians may be from adding up (`python -m tests.fields` measures the coverage with it)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted regression.

    Attributes:
        cost: Of each column, at least 0.
        covariance: Of the costs.
        residuals: Of the whitened rows.
        root: What whitens rows.
        freedom: Degrees of freedom of the intervals.
        typical: Median level, ms.
    """

    cost: Floats
    covariance: Floats
    residuals: Floats
    root: Floats
    freedom: float
    typical: float

    def loss(self, residuals: Floats) -> float:
        """Huber's loss, twice: comparable with chi-square."""
        return float(2 * huber(residuals).sum())


def huber(residuals: Floats) -> Floats:
    """Huber's loss of each residual: square near zero, straight beyond."""
    import numpy as np

    size = np.abs(residuals)
    return np.where(size <= _HUBER, size**2 / 2, _HUBER * (size - _HUBER / 2))


def fit(design: Floats, levels: Floats, errors: Floats, families: Ints) -> Fit:
    """Fit the levels by the columns of the design.

    Args:
        design: A row per level, a column per cost.
        levels: Milliseconds.
        errors: Their standard errors.
        families: Whose they are; rows of one family in the order of its versions.
    """
    import numpy as np

    rows, columns = design.shape
    base = errors**2 + (_RELATIVE * levels) ** 2
    sigma, tau = 3 * _FLOORS[0], 3 * _FLOORS[1]
    cost = np.zeros(columns)
    weights = np.ones(rows)
    spare = 1.0
    for _ in range(6):
        root = _root(base + sigma**2, tau, families)
        x, y = root @ design, root @ levels
        cost, weights, residuals = _robust(x, y, cost)
        rank = np.linalg.matrix_rank(design)
        spare = max(rows - rank, 1.0)
        sigma, tau = _components(levels - design @ cost, base, families, rows / spare)
    scale = max(1.0, 1.4826 * float(np.median(np.abs(residuals))) * (rows / spare) ** 0.5)
    informed = x * np.sqrt(weights)[:, None]
    covariance = np.linalg.pinv(informed.T @ informed, rcond=1e-10) * scale**2
    # Families are what varies: many versions of few programs are few observations.
    freedom = max(len(np.unique(families)) - rank / 2, 3.0)
    return Fit(cost, covariance, residuals, root, freedom, float(np.median(np.abs(levels))))


def _root(variances: Floats, tau: float, families: Ints) -> Floats:
    """The inverse Cholesky root of the covariance: each row less what earlier rows of its family let expect."""
    import numpy as np
    from scipy.linalg import solve_triangular

    same = families[:, None] == families[None, :]
    lower = np.linalg.cholesky(np.diag(variances) + tau**2 * same)
    found: Floats = solve_triangular(lower, np.eye(len(families)), lower=True)
    return found


def _robust(x: Floats, y: Floats, start: Floats) -> tuple[Floats, Floats, Floats]:
    """Iteratively reweighted non-negative least squares (Lawson & Hanson, *Solving Least Squares Problems*, 1974)."""
    import numpy as np
    from scipy.optimize import nnls

    cost = start
    weights = np.minimum(1.0, _HUBER / np.maximum(np.abs(y - x @ cost), 1e-12)) if start.any() else np.ones(len(y))
    for _ in range(30):
        half = np.sqrt(weights)
        # A whisper of a ridge makes columns that cannot be told apart share instead of one taking all.
        ridge = 1e-5 * np.eye(x.shape[1])
        new = nnls(
            np.vstack([x * half[:, None], ridge]), np.r_[y * half, np.zeros(x.shape[1])], maxiter=60 * x.shape[1]
        )[0]
        moved = float(np.abs(new - cost).max()) if len(new) else 0.0
        cost = new
        weights = np.minimum(1.0, _HUBER / np.maximum(np.abs(y - x @ cost), 1e-12))
        if moved < 1e-4:
            break
    return cost, weights, y - x @ cost


def _components(residuals: Floats, base: Floats, families: Ints, spare: float) -> tuple[float, float]:
    """How much versions and families differ beyond their errors, from medians: a few odd ones do not count."""
    import numpy as np

    names, owner = np.unique(families, return_inverse=True)
    size = np.bincount(owner)
    middle = np.array([np.median(residuals[owner == family]) for family in range(len(names))])
    within = residuals - middle[owner]
    many = size[owner] > 1
    sigma = _FLOORS[0]
    if many.sum() >= 4:
        # Residuals about the median of k rows are smaller than those about the truth.
        apart = np.abs(within[many]) * np.sqrt(size[owner][many] / (size[owner][many] - 1))
        apart = apart[apart > 0] if (apart > 0).sum() >= 3 else apart
        sigma = max((1.4826 * float(np.median(apart))) ** 2 - float(np.median(base[many])), sigma**2) ** 0.5
    noise = np.array([np.median(base[owner == family]) for family in range(len(names))]) / size + sigma**2 / size
    tau = (1.4826 * float(np.median(np.abs(middle - np.median(middle))))) ** 2 * min(spare, 4.0) - float(
        np.median(noise)
    )
    return sigma, max(tau, _FLOORS[1] ** 2) ** 0.5


def null_space_projection(design: Floats, families: Ints) -> Floats:
    """What the data cannot tell apart, as an orthogonal projection onto the confounded directions.

    A cost counts as told only if it would also be told when any one program had time of its own: a field that one program
    alone reads, in all its versions, is confounded with that program. So the null spaces of the design beside the indicator
    of each family, for all families, are put together.

    Returns:
        The projection ``P``; a combination ``c`` of costs can be estimated exactly where ``P c = 0``.
    """
    import numpy as np

    names, owner = np.unique(families, return_inverse=True)
    columns = design.shape[1]
    pattern, where = np.unique(np.column_stack([design, owner]), axis=0, return_inverse=True)
    del where
    directions = [_null(pattern[:, :columns])]
    for family in range(len(names)):
        one = (pattern[:, columns] == family).astype(float)[:, None]
        directions.append(_null(np.hstack([pattern[:, :columns], one]))[:columns])
    found = np.hstack(directions)
    if found.shape[1] == 0:
        return np.zeros((columns, columns))
    u, s, _ = np.linalg.svd(found, full_matrices=False)
    basis = u[:, s > _TINY * max(float(s.max()), 1.0)]
    projection: Floats = basis @ basis.T
    projection[np.abs(projection) < _TINY] = 0.0
    return projection


def _null(matrix: Floats) -> Floats:
    import numpy as np

    # The triangle has the null space of the whole, and is no larger than the columns.
    _, s, v = np.linalg.svd(np.linalg.qr(matrix, mode="r"))
    rank = int((s > _TINY * max(float(s.max(initial=0.0)), 1.0)).sum())
    found: Floats = v[rank:].T
    return found


def groups(projection: Floats, members: list[int]) -> list[list[int]]:
    """Which of these columns hang together in what cannot be told; those that can be told alone are not in it."""
    left = [column for column in members if projection[column, column] > _TINY]
    found: list[list[int]] = []
    while left:
        group = [left.pop(0)]
        grown = True
        while grown:
            near = [other for other in left if any(abs(projection[own, other]) > _TINY for own in group)]
            grown = bool(near)
            group += near
            left = [other for other in left if other not in near]
        found.append(sorted(group))
    return found


def is_identifiable(projection: Floats, members: list[int]) -> bool:
    """Whether the sum of these costs can be estimated."""
    import numpy as np

    return bool(np.abs(projection[:, members].sum(axis=1)).max(initial=0.0) < 1e-6)


def interval(found: Fit, members: list[int]) -> tuple[float, float, float]:
    """The sum of some costs with its 95 % interval, not below zero.

    To the sampling error comes what does not shrink with more programs: medians of sums are not sums of medians. Measured on
    simulated fleets it is some percent of a cost, and of a typical level for what is common to all rows (the first column).
    """
    import numpy as np
    from scipy import special

    value = float(found.cost[members].sum())
    error = float(max(found.covariance[np.ix_(members, members)].sum(), 0.0)) ** 0.5
    bias = _BIAS * (found.typical if 0 in members else value)
    half = math.hypot(float(special.stdtrit(found.freedom, 0.975)) * error, bias)
    return value, max(value - half, 0.0), value + half


def gain(found: Fit, column: Floats) -> tuple[float, float]:
    """How much a further column would explain: its cost by least absolute deviations, and the drop of twice Huber's loss."""
    import numpy as np

    white = found.root @ column
    used = np.abs(white) > 1e-9
    if not used.any():
        return 0.0, 0.0
    ratio, weight = found.residuals[used] / white[used], np.abs(white[used])
    order = np.argsort(ratio)
    total = np.cumsum(weight[order])
    cost = float(ratio[order][np.searchsorted(total, total[-1] / 2)])
    return cost, found.loss(found.residuals[used]) - found.loss(found.residuals[used] - white[used] * cost)


_CLEAR = 18.0
"""Drop of twice the loss that a further cause must bring: 4.2 standard errors, for there are hundreds to choose from."""
_TIE = 4.0
"""Two causes this close cannot be told apart (two standard errors)."""
_MOST_MOVES = 12


class CostKind(StrEnum):
    """What a column of the regression is the cost of."""

    REST = "rest"
    WALK = "walk"
    FIELD = "field"
    BUILT_IN = "built-in"
    PROGRAM = "program"
    """Time that one program has for itself."""


_QUERIES = (CostKind.FIELD, CostKind.BUILT_IN)


@dataclass(frozen=True, slots=True)
class CostTerm:
    """A column of the regression.

    Attributes:
        kind: What it is the cost of.
        names: Field paths or ids of built-ins; several where nothing tells them apart; empty for the rest.
        in_realm: Whether it is the cost in one realm only.
        realm: That realm; None is the NULL realm.
        since: First day of it; None for always.
    """

    kind: CostKind
    names: tuple[str, ...] = ()
    in_realm: bool = False
    realm: str | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True)
class ProgramInputs:
    """What a version reads besides its nodes.

    Attributes:
        fields: Its analytics fields: each costs a query per run, whatever the walk touches.
        built_in: The built-in that it wraps; None for none.
    """

    fields: tuple[str, ...] = ()
    built_in: str | None = None


@dataclass(frozen=True, slots=True)
class FleetCauses:
    """What the fleet's levels are made of.

    Attributes:
        costs: The columns.
        design: Row per level, column per cost.
        fit: The regression.
        null_space: Projection onto what cannot be told.
        rows: The levels that took part, in the design's order.
    """

    costs: list[CostTerm]
    design: Floats
    fit: Fit
    null_space: Floats
    rows: list[Level]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A further cause that may be added.

    Attributes:
        cost: What it is.
        column: Of the design, 1 where it acts.
        base: The column that it is a part of; -1 for none.
        ms: Its cost, were it added.
        drop: By how much twice the loss would fall.
    """

    cost: CostTerm
    column: Floats
    base: int
    ms: float
    drop: float


def causes(
    levels: Sequence[Level],
    read: Mapping[Key, ProgramInputs],
    changes: Sequence[date],
    *,
    with_nodes: bool,
    least_ms: float,
) -> FleetCauses | None:
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
    columns = [CostTerm(CostKind.REST)]
    design = [np.ones(len(rows))]
    if with_nodes:
        columns.append(CostTerm(CostKind.WALK))
        design.append(np.array([level.nodes for level in rows]))
    for path in sorted({path for level in rows for path in read[level.key].fields}):
        columns.append(CostTerm(CostKind.FIELD, (path,)))
        design.append(np.array([float(path in read[level.key].fields) for level in rows]))
    for name in sorted({read[level.key].built_in or "" for level in rows} - {""}):
        columns.append(CostTerm(CostKind.BUILT_IN, (name,)))
        design.append(np.array([float(read[level.key].built_in == name) for level in rows]))
    families = np.unique([repr(level.key.family) for level in rows], return_inverse=True)[1].astype(np.int64)
    ms, error = np.array([level.ms for level in rows]), np.array([level.error for level in rows])
    matrix = np.column_stack(design)
    found = fit(matrix, ms, error, families)
    for _ in range(min(_MOST_MOVES, len(rows) - 1)):
        candidates = _candidates(found, columns, matrix, rows, read, changes, families, least_ms)
        if not candidates or candidates[0].drop < _CLEAR:
            break
        columns, matrix = _with_best(candidates, columns, matrix)
        found = fit(matrix, ms, error, families)
    return FleetCauses(columns, matrix, found, null_space_projection(matrix, families), rows)


def _candidates(
    found: Fit, columns: list[CostTerm], matrix: Floats, rows: list[Level], read: Mapping[Key, ProgramInputs],
    changes: Sequence[date], families: NDArray[np.int64], least_ms: float,
) -> list[_Candidate]:  # fmt: skip
    """Further causes, the one that explains most first."""
    import numpy as np

    tried: list[tuple[CostTerm, Floats, int]] = []
    for at, cost in enumerate(columns):
        if cost.kind in _QUERIES and len(cost.names) == 1:
            tried += [(new, part, at) for new, part in _parts(cost, matrix[:, at], rows, changes)]
    for family in range(int(families.max()) + 1):
        own = families == family
        tried.append((CostTerm(CostKind.PROGRAM), own.astype(float), -1))
        for row in np.flatnonzero(own):
            if own.sum() > 1 and _unprompted(rows, read, int(row), own):
                tried.append((CostTerm(CostKind.PROGRAM), (np.arange(len(rows)) == row).astype(float), -1))
    moves = []
    for cost, column, base in tried:
        ms, drop = gain(found, column)
        repeated = any(np.array_equal(column, np.abs(matrix[:, at])) for at in range(matrix.shape[1]) if at != base)
        if abs(ms) >= least_ms and not (repeated and base < 0):
            moves.append(_Candidate(cost, column, base, ms, drop))
    return sorted(moves, key=lambda move: -move.drop)


def _parts(cost: CostTerm, column: Floats, rows: list[Level], changes: Sequence[date]) -> list[tuple[CostTerm, Floats]]:
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


def _unprompted(rows: list[Level], read: Mapping[Key, ProgramInputs], row: int, own: NDArray[np.bool_]) -> bool:
    """Whether another version of the family reads the same: then a difference between them is not the fields'."""
    key = rows[row].key
    return any(
        own[other] and level.key != key and read[level.key] == read[key] for other, level in enumerate(rows)
    ) and not any(own[other] and level.key == key and other != row for other, level in enumerate(rows))


def _with_best(moves: list[_Candidate], columns: list[CostTerm], matrix: Floats) -> tuple[list[CostTerm], Floats]:
    """Take the best cause; where others explain as much, all of them together, for nothing tells them apart."""
    import numpy as np

    best = moves[0]
    close = [
        move for move in moves
        if np.array_equal(move.column, best.column)
        or (best.drop - move.drop < _TIE and abs(move.ms - best.ms) < 0.3 * abs(best.ms))
    ]  # fmt: skip
    # The same field with and without a day explains the same: the simpler is meant.
    simplest: dict[tuple[CostKind, tuple[str, ...]], _Candidate] = {}
    for move in sorted(close, key=lambda move: (move.cost.since is not None) + move.cost.in_realm):
        simplest.setdefault((move.cost.kind, move.cost.names), move)
    kinds = {kind for kind, _ in simplest}
    if len(simplest) == 1 and CostKind.PROGRAM not in kinds:
        chosen = next(iter(simplest.values()))
        columns, matrix = [*columns, chosen.cost], np.column_stack([matrix, chosen.column])
        matrix[:, chosen.base] -= chosen.column
        return columns, matrix
    names = tuple(sorted({name for move in simplest.values() for name in move.cost.names}))
    scope = next((move.cost for move in simplest.values() if move.cost.names), best.cost)
    cost = replace(scope, kind=CostKind.PROGRAM if CostKind.PROGRAM in kinds else CostKind.FIELD, names=names)
    return [*columns, cost], np.column_stack([matrix, np.sign(best.ms) * best.column])
