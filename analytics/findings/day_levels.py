"""Quantiles of nodes day by day, of all versions at once: what a trend is drawn through."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

SPREAD = 0.3
"""Square root of 0.9 · 0.1: the standard deviation of the share of one row below the p90."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Days of one version. Grain of every array but the last three: day; of those: nodes, weight and day.

    Attributes:
        ages: Days before the last one of the version: 0, -1, …
        last: The last day.
        rows: Logged runs.
        stopped: Share of the runs that a cap stopped, estimated.
        p99, p90: Of nodes; infinite where only stopped runs are known.
        p90_error: Standard error of the p90, from the drawing of rows alone.
        age, nodes, weights, counts: The rows themselves; nodes are infinite for stopped runs, counts are logged runs.
    """

    ages: Ints
    last: Any
    rows: Ints
    stopped: Floats
    p99: Floats
    p90: Floats
    p90_error: Floats
    age: Ints
    nodes: Floats
    weights: Floats
    counts: Ints


def levels(frame: pd.DataFrame) -> dict[tuple[Any, ...], Levels]:
    """Daily quantiles of every version in a frame of the query nodes_by_day.

    Median-unbiased ("type 8" of Hyndman & Fan, *The American Statistician* 50, 1996), each row weighing its share of the
    effective rows (Σw)²/Σw². Rows without nodes are runs that a cap stopped: they rank above all others.

    Returns:
        Grain: realm, strategy, version, as they stand in the frame.
    """
    import numpy as np

    if frame.empty:
        return {}
    key = ["realm_id", "strategy", "strategy_version"]
    versions = frame.groupby(key, dropna=False, sort=False, observed=True).ngroup().to_numpy()
    # It numbers the versions in the order of their first rows.
    names = list(frame[key].iloc[np.unique(versions, return_index=True)[1]].itertuples(index=False, name=None))
    days = frame["day"].to_numpy().astype("datetime64[D]").astype(np.int64)
    first = int(days.min())
    width = int(days.max()) - first + 1
    group = versions * width + (days - first)
    nodes = frame["nodes_executed"].to_numpy(dtype=float, na_value=np.inf)
    # The query sorts its rows, NULLs last, so that mostly nothing is left to do.
    steps = np.diff(group)
    is_sorted = not ((steps < 0) | ((steps == 0) & (nodes[1:] < nodes[:-1]))).any()
    order = np.arange(len(group)) if is_sorted else np.lexsort((nodes, group))
    weights = frame["sample_weight"].to_numpy(dtype=float, na_value=np.nan)
    counts = frame["logged_count"].to_numpy(dtype=np.int64)
    order = order[weights[order] > 0]
    group, versions, days = group[order], versions[order], days[order]
    nodes, weights, counts = nodes[order], weights[order], counts[order]
    if not len(group):
        return {}
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes, stopped, p99, p90, error = _quantiles(starts, nodes, weights, counts)
    day_versions, day_days = versions[starts], days[starts]
    edges = np.flatnonzero(np.diff(day_versions, prepend=-1, append=-1))
    row_starts = np.append(starts, len(group))
    out: dict[tuple[Any, ...], Levels] = {}
    for begin, end in pairwise(edges):
        own, rows, last = slice(begin, end), slice(row_starts[begin], row_starts[end]), day_days[end - 1]
        out[names[int(day_versions[begin])]] = Levels(
            day_days[own] - last, last.astype("datetime64[D]"), sizes[own], stopped[own], p99[own], p90[own], error[own],
            days[rows] - last, nodes[rows], weights[rows], counts[rows],
        )  # fmt: skip
    return out


def _quantiles(
    starts: Ints, nodes: Floats, weights: Floats, counts: Ints
) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Rows, share stopped, p99, p90 and the standard error of the p90 of every day."""
    import numpy as np

    sizes = np.diff(np.append(starts, len(nodes)))
    mass = weights * counts
    total, squares = np.add.reduceat(mass, starts), np.add.reduceat(mass * weights, starts)
    effective = total**2 / squares
    share = np.repeat(effective / total, sizes)
    each = weights * share  # what one row weighs, in effective rows
    until = np.cumsum(mass)
    until -= np.repeat(until[starts] - mass[starts], sizes)
    until *= share
    width = np.repeat(effective + 1 / 3, sizes)
    day = np.repeat(np.arange(len(starts)), sizes)
    # Rows that share a value span from the place of the first to that of the last.
    places = np.empty(2 * len(nodes))
    places[0::2] = day + (until - mass * share + each / 2 + 1 / 6) / width
    places[1::2] = day + (until - each / 2 + 1 / 6) / width
    values = np.repeat(nodes, 2)

    def at(q: Floats | float) -> Floats:
        wanted = np.arange(len(starts)) + q
        right = np.clip(np.searchsorted(places, wanted), 2 * starts, 2 * (starts + sizes) - 1)
        left = np.maximum(right - 1, 2 * starts)
        span = places[right] - places[left]
        part = np.where(span > 0, np.clip((wanted - places[left]) / np.where(span > 0, span, 1), 0, 1), 1.0)
        low, high = values[left], values[right]
        with np.errstate(invalid="ignore"):
            return np.where((high == low) | np.isinf(high), low, low + part * (high - low))

    step = SPREAD / np.sqrt(effective)
    with np.errstate(invalid="ignore"):
        error = (at(np.minimum(0.9 + step, 1.0)) - at(0.9 - step)) / 2
    stopped = np.add.reduceat(np.where(np.isinf(nodes), mass, 0.0), starts) / total
    return np.add.reduceat(counts, starts), stopped, at(0.99), at(0.9), error
