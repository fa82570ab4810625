"""A robust, non-negative regression of levels on what programs read, and which of its answers the data can give at all.

Levels of one family hang together: a program may take time of its own. Its versions are therefore compared with its
earlier ones first and with other programs second, by generalised least squares with a variance between families and one
between versions (Searle, Casella & McCulloch, *Variance Components*, 1992), made robust by Huber's weights on the whitened
rows. What cannot be told is decided by linear algebra: a cost that a null vector of the design touches has no answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

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


def mixed(design: Floats, families: Ints) -> Floats:
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


def told(projection: Floats, members: list[int]) -> bool:
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
