"""Weighted medians of many groups at once, and what a node costs within one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

BINS = 12
"""Bins of nodes per program: medians of many runs stand up to stalls, and twelve are enough for a line."""
LEAST = 24.0
"""Logged rows below which a program's own runs say nothing about the cost of its nodes."""
_LEAST_IN_BIN = 3.0
_FLOOR = 0.02
"""Least standard error of a median, relative: medians are no straight line, however many rows there are."""
_HUBER = 1.345
_LEAN = 30.0
"""Rows of a bin whose error is as much its own as its program's."""


@dataclass(frozen=True, slots=True)
class Medians:
    """Medians of groups, with the standard errors of order statistics.

    Attributes:
        value: Weighted median; NaN for an empty group.
        error: Its standard error: half of what lies between the quantiles ``1/2 ± 1/(2√n)`` (distribution-free; David &
            Nagaraja, *Order Statistics*, 2003, section 7.1).
        count: Rows of the group.
    """

    value: Floats
    error: Floats
    count: Floats


def medians(groups: Ints, values: Floats, counts: Floats, size: int) -> Medians:
    """The median of each group of rows.

    Args:
        groups: Group of each row, from 0.
        values: What is measured.
        counts: Logged runs a row stands for.
        size: Number of groups.
    """
    import numpy as np

    total: Floats = np.bincount(groups, counts, size).astype(float)
    if len(values) == 0:
        empty = np.full(size, np.nan)
        return Medians(empty, empty.copy(), total)
    order = _order(groups, values)
    ranked, weights = values[order], counts[order]
    # The middle of each row's own weight: the median of two rows lies between them.
    middle = np.cumsum(weights) - weights / 2
    before = np.concatenate(([0.0], np.cumsum(total)[:-1]))
    members = np.bincount(groups, minlength=size)
    last = np.cumsum(members) - 1
    first = last - members + 1

    def at(share: Floats) -> Floats:
        wanted = before + share * total
        above = np.clip(np.searchsorted(middle, wanted), first, np.maximum(last, first))
        below = np.maximum(above - 1, np.minimum(first, above))
        above, below = (np.clip(place, 0, len(ranked) - 1) for place in (above, below))
        gap = middle[above] - middle[below]
        part = np.where(gap > 0, np.clip((wanted - middle[below]) / np.where(gap > 0, gap, 1.0), 0, 1), 0.0)
        found: Floats = ranked[below] + part * (ranked[above] - ranked[below])
        return found

    spread = 0.5 / np.sqrt(np.maximum(total, 1.0))
    value = np.where(members > 0, at(np.full(size, 0.5)), np.nan)
    error = (at(np.minimum(0.5 + spread, 1.0)) - at(np.maximum(0.5 - spread, 0.0))) / 2
    return Medians(value, np.where(members > 0, error, np.nan), total)


def _order(groups: Ints, values: Floats) -> Ints:
    """Rows by group, then by value: both packed into one integer, which sorts in half the time of two keys.

    Values are compared as single precision, whose bits are in order when the sign is turned.
    """
    import numpy as np

    bits = values.astype(np.float32).view(np.uint32)
    turned = bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    return np.argsort((groups.astype(np.uint64) << np.uint64(32)) | turned)


@dataclass(frozen=True, slots=True)
class Slopes:
    """What one more node costs, per group.

    Attributes:
        value: Milliseconds per node, from the group's own runs; NaN where they do not tell.
        error: Standard error.
    """

    value: Floats
    error: Floats


def slopes(groups: Ints, nodes: Floats, took: Floats, counts: Floats, size: int) -> Slopes:
    """A robust line through each group's medians over bins of nodes: same program, same queries, other runs.

    Bins have about equal numbers of rows; their medians are weighted by their precision and by Huber's function (*Annals of
    Mathematical Statistics* 35, 1964), so that neither a stalled run nor an odd bin turns the line.
    """
    import numpy as np

    bins = _bins(groups, nodes, counts, size)
    level = medians(bins, took, counts, size * BINS)
    place = np.bincount(bins, counts * nodes, size * BINS) / np.maximum(level.count, 1e-300)
    owner = np.repeat(np.arange(size), BINS)
    error = np.hypot(_steadied(level, owner, size), _FLOOR * level.value)
    usable = (level.count >= _LEAST_IN_BIN) & (error > 0)
    x, y, error, owner = place[usable], level.value[usable], error[usable], owner[usable]
    base = 1 / error**2
    huber = np.ones(len(x))
    slope = np.zeros(size)
    inertia = np.zeros(size)
    chi = np.zeros(size)
    points = np.bincount(owner, minlength=size)
    for _ in range(8):
        weight = base * huber
        total = np.maximum(np.bincount(owner, weight, size), 1e-300)
        centre_x = (np.bincount(owner, weight * x, size) / total)[owner]
        centre_y = (np.bincount(owner, weight * y, size) / total)[owner]
        inertia = np.bincount(owner, weight * (x - centre_x) ** 2, size).astype(float)
        product = np.bincount(owner, weight * (x - centre_x) * (y - centre_y), size)
        slope = np.divide(product, inertia, out=np.zeros(size), where=inertia > 0)
        residual = np.abs(y - centre_y - slope[owner] * (x - centre_x)) / error
        chi = np.bincount(owner, np.minimum(residual, 3.0) ** 2, size).astype(float)
        huber = np.minimum(1.0, _HUBER / np.maximum(residual, 1e-12))
    told = (points >= 3) & (inertia > 0) & (np.bincount(groups, counts, size) >= LEAST)
    # More scatter than the medians' own errors: the line does not fit, and says less than it seems.
    stretch = np.sqrt(np.maximum(chi / np.maximum(points - 2, 1), 1.0))
    errors = np.divide(stretch, np.sqrt(inertia), out=np.full(size, np.nan), where=inertia > 0)
    return Slopes(np.where(told, slope, np.nan), np.where(told, errors, np.nan))


def _steadied(level: Medians, owner: Ints, size: int) -> Floats:
    """Errors of bins of few rows lean on the program's other bins: a median that came out sharp by chance would rule the line."""
    import numpy as np

    own = np.where(np.isfinite(level.error), level.error**2 * level.count, 0.0)
    usable = level.count >= _LEAST_IN_BIN
    total = np.bincount(owner, np.where(usable, level.count, 0.0), size)
    typical = np.bincount(owner, np.where(usable, own * level.count, 0.0), size) / np.maximum(total, 1e-300)
    mixed = (own * level.count + typical[owner] * _LEAN) / (level.count + _LEAN)
    found: Floats = np.sqrt(mixed / np.maximum(level.count, 1e-300))
    return found


def _bins(groups: Ints, nodes: Floats, counts: Floats, size: int) -> Ints:
    """A bin of nodes within each group for every row; equal nodes share one."""
    import numpy as np

    order = _order(groups, nodes)
    g, x, w = groups[order], nodes[order], counts[order]
    new = np.r_[True, (np.diff(g) != 0) | (np.diff(x) != 0)] if len(g) else np.zeros(0, bool)
    value = np.cumsum(new) - 1
    held = np.bincount(value, w)
    owner = g[new]
    total = np.bincount(g, w, size)
    before = np.concatenate(([0.0], np.cumsum(total)[:-1]))
    rank = (np.cumsum(held) - held / 2 - before[owner]) / np.maximum(total[owner], 1e-300)
    place = np.clip((rank * BINS).astype(np.int64), 0, BINS - 1)
    out = np.empty(len(groups), np.int64)
    out[order] = (owner * BINS + place)[value]
    return out


@dataclass(frozen=True, slots=True)
class Nodes:
    """What a node costs in each group once all groups were heard.

    Attributes:
        value: Milliseconds per node; NaN when no group tells.
        error: Standard deviation of what is still not known.
        own: Whether the group's own runs say more than those of the others.
        pooled: The typical program's; NaN when no group tells.
    """

    value: Floats
    error: Floats
    own: NDArray[np.bool_]
    pooled: float


def pool(found: Slopes) -> Nodes:
    """Own slopes where they are sharp, the typical one where they are not, in between by their precision.

    Empirical Bayes (Morris, *JASA* 78, 1983). Programs differ by what their nodes are: by a tenth at least, and by three tenths
    where fewer than four tell.
    """
    import numpy as np

    value, error = found.value, found.error
    told = np.isfinite(value) & np.isfinite(error)
    if not told.any():
        nothing = np.full(len(value), np.nan)
        return Nodes(nothing, nothing.copy(), told, float("nan"))
    one = np.zeros(int(told.sum()), np.int64)
    between, middle = 0.0, 0.0
    for _ in range(4):
        weight = 1 / (error[told] ** 2 + between**2 + 1e-12)
        middle = max(float(medians(one, value[told], weight, 1).value[0]), 0.0)
        apart = float(medians(one, np.abs(value[told] - middle), weight, 1).value[0]) * 1.4826
        noise = float(np.average(error[told] ** 2, weights=weight))
        between = max(apart**2 - noise, 0.0) ** 0.5
        between = max(between, (0.1 if told.sum() >= 4 else 0.3) * middle)
    pooled_error = (between**2 + 1 / np.sum(1 / (error[told] ** 2 + between**2 + 1e-12))) ** 0.5
    precision = np.where(told, 1 / np.where(told, error**2, 1.0), 0.0)
    prior = 1 / max(pooled_error, 1e-9) ** 2
    mixed = (np.where(told, value, 0.0) * precision + middle * prior) / (precision + prior)
    return Nodes(np.maximum(mixed, 0.0), 1 / np.sqrt(precision + prior), precision > prior, middle)
