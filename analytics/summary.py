"""The query strategy_summary: estimates of what its statement has gathered, one list of values per weight."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from analytics import censoring, estimates
from analytics.config import DEFAULT_SAMPLE_RATE
from analytics.estimate import NOTHING, Estimate

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ESTIMATES = (
    "est_runs", "est_failure_rate", "est_points_mean", "est_points_sum", "est_duration_p50_ms", "est_duration_p95_ms",
    "est_duration_p99_ms", "est_duration_ok_p99_ms", "est_nodes_p50", "est_nodes_p99",
)  # fmt: skip
_KEY = ("realm_id", "strategy_id", "strategy_version", "family_name")


@dataclass(frozen=True, slots=True)
class _Part:
    """Logged runs of one strategy with one outcome and one weight; ``status`` stands for all that count like it."""

    status: str
    is_drawn: bool
    weight: float
    logged_count: int
    points: Floats
    durations: Floats
    nodes: Floats


def finish(gathered: pa.Table) -> pa.Table:
    """The summary.

    Args:
        gathered: As the statement gives it, the parts of a strategy one after another.

    Returns:
        Grain: realm, strategy, version. Each estimate has columns ``_low``, ``_high`` and ``_grade``; NULL is unknown, or an
        end that is open. ``_is_at_least`` says that the number is a lower bound.
    """
    import pyarrow as pa

    keys = {name: gathered[name].to_pylist() for name in (*_KEY, "smallest_rate")}
    parts = list(_parts(gathered))
    columns: dict[str, list[Any]] = {name: [] for name in schema().names}
    start = 0
    for end in range(1, len(parts) + 1):
        if end < len(parts) and all(keys[name][end] == keys[name][start] for name in _KEY[:3]):
            continue
        rate = keys["smallest_rate"][start]
        row = {name: keys[name][start] for name in _KEY}
        row |= _row(parts[start:end], DEFAULT_SAMPLE_RATE if rate is None else rate)
        for name, values in columns.items():
            values.append(row[name])
        start = end
    return pa.table(columns, schema())


def schema() -> pa.Schema:
    """Columns of the summary."""
    import pyarrow as pa

    fields = [("realm_id", pa.string()), ("strategy_id", pa.string()), ("strategy_version", pa.int64()),
              ("family_name", pa.string())]  # fmt: skip
    fields += [(name, pa.int64()) for name in ("logged_count", "failed_count", "points_set_aside_count")]
    for name in ESTIMATES:
        fields += [(f"{name}{end}", pa.float64()) for end in ("", "_low", "_high")]
        fields += [(f"{name}_grade", pa.string()), (f"{name}_is_at_least", pa.bool_())]
    return pa.schema(fields)


def _parts(gathered: pa.Table) -> Iterator[_Part]:
    import numpy as np

    lists = [_slices(gathered[name]) for name in ("points", "durations", "nodes")]
    weights = gathered["sample_weight"].to_numpy().astype(np.float64)  # NULL becomes NaN
    plain = (gathered[name].to_pylist() for name in ("status", "is_drawn", "logged_count"))
    for place, (status, is_drawn, count) in enumerate(zip(*plain, strict=True)):
        values = (of[place] for of in lists)
        yield _Part(status, bool(is_drawn), float(weights[place]), count, *values)


def _slices(column: pa.ChunkedArray) -> list[Floats]:
    """Each list as an array of its own, of the same memory where the type allows."""
    import numpy as np

    found: list[Floats] = []
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        offsets = chunk.offsets.to_numpy()
        found += [values[first:last] for first, last in pairwise(offsets)]
    return found


def _row(parts: list[_Part], rate: float) -> dict[str, Any]:
    logged = sum(part.logged_count for part in parts)
    ok = [part for part in parts if part.status == "ok"]
    failed = logged - sum(part.logged_count for part in ok)
    drawn = [part for part in ok if part.is_drawn]
    known = [part for part in drawn if part.weight >= 1]
    sampled = sum(part.logged_count for part in drawn)
    unweighted = sampled - sum(part.logged_count for part in known)
    runs = estimates.runs(
        sampled,
        math.fsum(part.logged_count * part.weight for part in known),
        math.fsum(part.logged_count * part.weight**2 for part in known),
        logged - sampled,
        0.0 if unweighted else rate,  # rows of unknown weight: what the others say is a lower bound
    )
    undrawn = 0.0 if sampled else estimates.upper_bound_of_none(rate)
    paid = _joined(ok, "points")
    mean, total = estimates.mean(*paid), estimates.total(*paid)
    if runs.is_at_least or unweighted:  # nobody knows what the runs were paid that were never logged, or have no weight
        total = replace(total, low=math.nan, high=math.nan, grade="too few")
    p50, p95, p99 = _quantiles(parts, "durations", (0.5, 0.95, 0.99), undrawn)
    (ok_p99,) = _quantiles(ok, "durations", (0.99,), undrawn)
    nodes50, nodes99 = _quantiles(parts, "nodes", (0.5, 0.99), undrawn)
    found = (runs, estimates.failure_rate(failed, runs), mean, total, p50, p95, p99, ok_p99, nodes50, nodes99)  # fmt: skip
    row: dict[str, Any] = {
        "logged_count": logged,
        "failed_count": failed,
        "points_set_aside_count": sum(part.logged_count - len(part.points) for part in ok),
    }
    for name, estimate in zip(ESTIMATES, found, strict=True):
        plain = estimate.to_dict()
        row |= {name: plain["value"], f"{name}_low": plain["low"], f"{name}_high": plain["high"]}
        row |= {f"{name}_grade": estimate.grade, f"{name}_is_at_least": estimate.is_at_least}
    return row


def _joined(parts: list[_Part], name: str) -> tuple[Floats, Floats]:
    import numpy as np

    values = [
        np.sort(getattr(part, name)) for part in parts
    ]  # DuckDB's order is another each time, and so is a float's sum
    weights = [np.full(len(some), part.weight) for part, some in zip(parts, values, strict=True)]
    return np.concatenate([np.empty(0), *values]), np.concatenate([np.empty(0), *weights])


def _quantiles(parts: list[_Part], name: str, qs: tuple[float, ...], undrawn: float) -> list[Estimate]:
    import numpy as np

    if not parts:
        return [NOTHING] * len(qs)
    values: list[Floats] = []
    for part in parts:
        own = getattr(part, name)
        # Stopped runs needed more nodes than any number that is known; their time is "at least" what was measured.
        stopped_nodes = name == "nodes" and part.status in censoring.STOPPED
        values.append(np.full(part.logged_count, math.inf) if stopped_nodes else own)
    weights = [np.full(len(some), part.weight) for part, some in zip(parts, values, strict=True)]
    stopped = [np.full(len(some), part.status in censoring.STOPPED) for part, some in zip(parts, values, strict=True)]
    return estimates.quantiles(
        np.concatenate(values), np.concatenate(weights), qs, censored=np.concatenate(stopped), undrawn=undrawn
    )
