"""The queries strategy_summary and points_by_hour: estimates of the lists of values that their statements gather."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from analytics.estimates import estimators
from analytics.estimates.estimate import Estimate
from analytics.estimates.quantiles import Part, quantiles_of_parts
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE
from analytics.sql import Parameters, Row

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from analytics.estimates.arrays import Array, Floats


ESTIMATES = (
    "est_runs", "est_failure_rate", "est_points_mean", "est_points_sum", "est_duration_p50_ms", "est_duration_p95_ms",
    "est_duration_p99_ms", "est_duration_ok_p99_ms", "est_nodes_p50", "est_nodes_p99",
)  # fmt: skip
PORTION_ROWS = 4_000_000
"""Gathered at a time, or one tenant's: then memory does not grow with the number of tenants."""
_KEY = ("realm_id", "strategy_id", "strategy_version", "family_name")


@dataclass(frozen=True, slots=True)
class LoggedPart:
    """Logged runs of one strategy with one outcome and one weight; ``status`` stands for all that count like it."""

    status: str
    is_drawn: bool
    weight: float
    logged_count: int
    points: Floats
    durations: Floats
    nodes: Array


def answer(connection: duckdb.DuckDBPyConnection, statement: str, values: Parameters) -> pa.Table:
    """The summary, gathered and finished in portions of some tenants each.

    Args:
        connection: With the lake's views.
        statement: The query's.
        values: Of its parameters.
    """
    import pyarrow as pa

    tables = []
    for portion in _portions(connection, values):
        try:
            for name, value in portion.items():
                connection.execute(f"set variable {name} = $1", [value])
            tables.append(finish(connection.sql(statement, params=dict(values)).to_arrow_table()))
        finally:
            for name in portion:
                connection.execute(f"reset variable {name}")
    return pa.concat_tables(tables)


def _portions(connection: duckdb.DuckDBPyConnection, values: Parameters) -> list[Row]:
    """Variables of the statement. Together the portions hold every realm, also one that the ledger does not know."""
    counted = connection.execute(
        """select realm_id, sum(logged_count)::bigint
             from partitions
            where ($since::timestamptz is null or day >= $since::timestamptz::date)
              and ($until::timestamptz is null or day <= $until::timestamptz::date)
            group by all order by realm_id""",
        {name: values[name] for name in ("since", "until")},
    ).fetchall()
    if sum(count for _, count in counted) <= PORTION_ROWS:
        return [{}]
    ends: list[str] = []
    rows, last = 0, None
    for realm, count in counted:
        if realm is None:
            continue
        if last is not None and rows + count > PORTION_ROWS:
            ends.append(last)
            rows = 0
        rows, last = rows + count, realm
    bounds = [None, *ends, None]
    return [{"realm_above": low, "realm_to": high} for low, high in pairwise(bounds)] + [{"no_realm": True}]


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
    starts = [
        place
        for place in range(len(parts))
        if not place or any(keys[name][place] != keys[name][place - 1] for name in _KEY[:3])
    ]

    def row(start: int, end: int) -> Row:
        rate = keys["smallest_rate"][start]
        of_all = _row(parts[start:end], DEFAULT_SAMPLE_RATE if rate is None else rate)
        return {name: keys[name][start] for name in _KEY} | of_all

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # sorting lets other threads run
        rows = list(pool.map(row, starts, [*starts[1:], len(parts)]))
    return pa.table({name: [row[name] for row in rows] for name in schema().names}, schema())


def schema() -> pa.Schema:
    """Columns of the summary."""
    import pyarrow as pa

    fields = [("realm_id", pa.string()), ("strategy_id", pa.string()), ("strategy_version", pa.int64()),
              ("family_name", pa.string())]  # fmt: skip
    fields += [(name, pa.int64()) for name in ("logged_count", "failed_count", "points_set_aside_count")]
    return pa.schema([*fields, *_fields(ESTIMATES)])


def answer_hours(connection: duckdb.DuckDBPyConnection, statement: str, values: Parameters) -> pa.Table:
    """The query points_by_hour, finished; the arguments are those of ``answer``."""
    return finish_hours(connection.sql(statement, params=dict(values)).to_arrow_table())


def finish_hours(gathered: pa.Table) -> pa.Table:
    """The query points_by_hour.

    Args:
        gathered: As the statement gives it.

    Returns:
        Grain: hour, realm, strategy, version; an estimate's columns as with ``finish``.
    """
    import numpy as np
    import pyarrow as pa

    names = ("est_runs", "est_points_mean")
    plain = gathered.drop_columns(["points", "weights", "drawn"])
    points, weights = (slices(gathered[name]) for name in ("points", "weights"))
    drawn = [np.asarray(flags, dtype=bool) for flags in gathered["drawn"].to_pylist()]
    rows: list[Row] = []
    for y, w, is_drawn in zip(points, weights, drawn, strict=True):
        known = w[is_drawn & (w >= 1)]
        sampled = int(is_drawn.sum())
        # Rows of unknown weight make a lower bound of the others; what was not drawn plays no part, as a row is here.
        rate = 0.0 if len(known) < sampled else DEFAULT_SAMPLE_RATE
        runs = estimators.runs(sampled, float(known.sum()), float((known**2).sum()), len(y) - sampled, rate)
        rows.append(
            {"logged_count": len(y), **_with_estimates(dict(zip(names, (runs, estimators.mean(y, w)), strict=True)))}
        )
    found = pa.Table.from_pylist(rows, pa.schema([("logged_count", pa.int64()), *_fields(names)]))
    for name in found.column_names:
        plain = plain.append_column(name, found[name])
    return plain


def _fields(names: Iterable[str]) -> list[tuple[str, pa.DataType]]:
    import pyarrow as pa

    fields: list[tuple[str, pa.DataType]] = []
    for name in names:
        fields += [(f"{name}{end}", pa.float64()) for end in ("", "_low", "_high")]
        fields += [(f"{name}_grade", pa.string()), (f"{name}_is_at_least", pa.bool_())]
    return fields


def _with_estimates(found: Mapping[str, Estimate]) -> Row:
    row: Row = {}
    for name, estimate in found.items():
        plain = estimate.to_dict()
        row |= {name: plain["value"], f"{name}_low": plain["low"], f"{name}_high": plain["high"]}
        row |= {f"{name}_grade": estimate.grade, f"{name}_is_at_least": estimate.is_at_least}
    return row


def _parts(gathered: pa.Table) -> Iterator[LoggedPart]:
    import numpy as np

    lists = [slices(gathered[name]) for name in ("points", "durations", "nodes")]
    weights = gathered["sample_weight"].to_numpy().astype(np.float64)  # NULL becomes NaN
    plain = (gathered[name].to_pylist() for name in ("status", "is_drawn", "logged_count"))
    for place, (status, is_drawn, count) in enumerate(zip(*plain, strict=True)):
        values = (of[place] for of in lists)
        yield LoggedPart(status, bool(is_drawn), float(weights[place]), count, *values)


def slices(column: pa.ChunkedArray) -> list[Array]:
    """Each list as an array of its own, of the same memory where there is no NULL."""
    found: list[Array] = []
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=False)
        offsets = chunk.offsets.to_numpy()
        found += [values[first:last] for first, last in pairwise(offsets)]
    return found


def _row(parts: list[LoggedPart], rate: float) -> Row:
    logged = sum(part.logged_count for part in parts)
    ok = [part for part in parts if part.status == "ok"]
    failed = logged - sum(part.logged_count for part in ok)
    drawn = [part for part in ok if part.is_drawn]
    known = [part for part in drawn if part.weight >= 1]
    sampled = sum(part.logged_count for part in drawn)
    unweighted = sampled - sum(part.logged_count for part in known)
    by_weight: Counter[float] = Counter()
    for part in drawn:
        by_weight[part.weight if part.weight >= 1 else math.nan] += part.logged_count
    runs = estimators.runs_of_rates(by_weight, logged - sampled, rate)
    # Where nothing was logged for a time, or some rows have no weight, the others do not speak for all runs.
    is_partial = runs.is_at_least or unweighted > 0
    undrawn = math.inf if is_partial else 0.0 if sampled else estimators.upper_bound_of_none(rate)
    paid = _joined(ok, "points")
    mean, total = estimators.mean(*paid), estimators.total(*paid)
    if is_partial:
        mean, total = (replace(one, low=math.nan, high=math.nan, grade="too few") for one in (mean, total))
    took = [sorted_part(part, "durations") for part in parts]
    took_ok = [some for part, some in zip(parts, took, strict=True) if part.status == "ok"]
    needed = [sorted_part(part, "nodes") for part in parts]
    p50, p95, p99 = quantiles_of_parts(took, (0.5, 0.95, 0.99), undrawn=undrawn)
    (ok_p99,) = quantiles_of_parts(took_ok, (0.99,), undrawn=undrawn)
    nodes50, nodes99 = quantiles_of_parts(needed, (0.5, 0.99), undrawn=undrawn)
    found = (runs, estimators.failure_rate(failed, runs), mean, total, p50, p95, p99, ok_p99, nodes50, nodes99)  # fmt: skip
    return {
        "logged_count": logged,
        "failed_count": failed,
        "points_set_aside_count": sum(part.logged_count - len(part.points) for part in ok),
        **_with_estimates(dict(zip(ESTIMATES, found, strict=True))),
    }


def _joined(parts: list[LoggedPart], name: str) -> tuple[Floats, Floats]:
    import numpy as np

    # DuckDB's order is another each time, and so is a float's sum.
    values = [np.sort(getattr(part, name)) for part in parts]
    weights = [np.full(len(some), part.weight) for part, some in zip(parts, values, strict=True)]
    return np.concatenate([np.empty(0), *values]), np.concatenate([np.empty(0), *weights])


def sorted_part(part: LoggedPart, name: str) -> Part:
    """For quantiles. Stopped runs needed more nodes than any number that is known; their time is "at least" what was measured."""
    import numpy as np

    is_stopped, values = part.status in estimators.STOPPED, getattr(part, name)
    if is_stopped and name == "nodes":
        return Part(np.empty(0), part.weight, stopped=True, unknown=part.logged_count)
    if values.dtype.kind == "f":
        values = values[~np.isnan(values)]
    elif len(values) and values.max() < 2**15:
        values = values.astype(np.int16)  # sorted by counting, in a tenth of the time
    return Part(np.sort(values, kind="stable" if values.dtype == np.int16 else None), part.weight, stopped=is_stopped)
