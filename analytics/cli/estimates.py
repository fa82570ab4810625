"""Estimates in a table for people: number, interval and grade in one cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from analytics.page import number as write

_ENDS = ("_low", "_high", "_grade", "_is_at_least")


def folded(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[list[str], list[list[Any]]]:
    """Fold the columns of each estimate (``est_runs``, ``est_runs_low`` …) into one; others stay as they are."""
    whole = [name for name in columns if all(f"{name}{end}" in columns for end in _ENDS)]
    if not whole:
        return list(columns), [list(row) for row in rows]
    kept = [name for name in columns if not any(name == f"{of}{end}" for of in whole for end in _ENDS)]
    found = []
    for row in rows:
        value = dict(zip(columns, row, strict=True))
        found.append([_cell(value, name) if name in whole else value[name] for name in kept])
    return kept, found


def _cell(row: dict[str, Any], name: str) -> str | None:
    value, low, high, grade, is_at_least = (row[f"{name}{end}"] for end in ("", *_ENDS))
    if value is None:
        return None
    if is_at_least:
        return f"{write.at_least(value)} {grade}"
    if name.endswith("_rate"):
        scaled = [None if part is None else 100 * part for part in (value, low, high)]
        return f"{write.number(*scaled, unit='%')} {write.bounds(*scaled)} {grade}"
    return f"{write.number(value, low, high)} {write.bounds(value, low, high)} {grade}"
