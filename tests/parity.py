"""The same answer from two engines: row for row, floats to a billionth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

CLOSE = 1e-9
"""Relative; engines add in another order."""


def kind(of: pa.DataType) -> Any:
    """A type without what the engines only call differently: names within lists, width of text."""
    if pa.types.is_list(of) or pa.types.is_large_list(of):
        return ("list", kind(of.value_type))
    if pa.types.is_struct(of):
        return tuple((field.name, kind(field.type)) for field in of)
    return pa.string() if pa.types.is_large_string(of) else of


def same(one: Any, other: Any) -> bool:
    """Two values say the same; NaN is NaN."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=CLOSE, abs_tol=0)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def differences(one: pa.Table, other: pa.Table, *, is_ordered: bool, unordered: Iterable[str] = ()) -> list[str]:
    """What is not the same in two tables; empty when nothing.

    Args:
        one, other: The tables.
        is_ordered: Their rows stand in an order that says something.
        unordered: Columns of lists whose values do not.
    """
    if one.column_names != other.column_names:
        return [f"columns {one.column_names} and {other.column_names}"]
    kinds = [
        f"{name}: {a} and {b}"
        for name, a, b in zip(one.column_names, one.schema.types, other.schema.types, strict=True)
        if kind(a) != kind(b)
    ]
    if kinds or one.num_rows != other.num_rows:
        return [*kinds, *([f"{one.num_rows} and {other.num_rows} rows"] if one.num_rows != other.num_rows else [])]
    tables = [_rows(table, is_ordered, tuple(unordered)) for table in (one, other)]
    return [
        f"row {place}, {name}: {a[name]!r} and {b[name]!r}"
        for place, (a, b) in enumerate(zip(*tables, strict=True))
        for name in a
        if not same(a[name], b[name])
    ]


def _rows(table: pa.Table, is_ordered: bool, unordered: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    for row in rows:
        for name in unordered:
            row[name] = None if row[name] is None else sorted(row[name], key=repr)
    # Floats last, and coarse: two that are close must not put the rows in another order.
    return rows if is_ordered else sorted(rows, key=lambda row: [_coarse(value) for value in row.values()])


def _coarse(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6e}"
    return repr(value)
