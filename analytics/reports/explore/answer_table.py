"""How rows of an answer become a table for a person, in a cell or a terminal: names first, ids last, an estimate in one cell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from analytics.reports import page
from analytics.reports.page.inline import written

if TYPE_CHECKING:
    import duckdb

_ENDS: Final = ("_low", "_high", "_grade", "_is_at_least")
_FIRST: Final = ("family_name", "strategy_version", "realm_id")
_LAST: Final = re.compile(r"(\w+_)?(strategy|execution)_id")
MARKS: Final = {"good": "●", "rough": "◐", "too few": "○"}
FEW_COLUMNS: Final = 8
"""So many are in sight wherever they stand; who wrote no more of them has put them in order."""


@dataclass(frozen=True, slots=True)
class EstimateCell:
    """An estimate as one cell: value, 95 % interval and grade.

    Attributes:
        value, low, high, grade, is_at_least: As ``analytics.estimates.estimate.Estimate`` has them.
        unit: "%" takes shares of one.
    """

    value: float
    low: float | None
    high: float | None
    grade: str
    is_at_least: bool
    unit: str = ""

    @property
    def html(self) -> page.Markup:
        """For a cell of a notebook."""
        return page.est(self)

    def __str__(self) -> str:
        return " ".join(part for part in (*written(self), MARKS.get(self.grade, ""), self.grade) if part)


def folded(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> tuple[list[str], list[list[object]]]:
    """Fold the columns of each estimate (``est_runs``, ``est_runs_low`` …) into one; others stay as they are."""
    whole = [name for name in columns if all(f"{name}{end}" in columns for end in _ENDS)]
    told = [list(row) for row in rows] if whole else rows
    whole = [name for name in whole if _are_estimates([row[columns.index(f"{name}_grade")] for row in told])]
    if not whole:
        return list(columns), [list(row) for row in told]
    names = [name for name in columns if not any(name == f"{of}{end}" for of in whole for end in _ENDS)]
    folded_rows = []
    for row in told:
        value = dict(zip(columns, row, strict=True))
        folded_rows.append([_estimate(value, name) if name in whole else value[name] for name in names])
    return names, folded_rows


def _are_estimates(grades: Sequence[object]) -> bool:
    """What was made of an answer, ``answer.isna()`` or a sum of groups, has columns of these names and none of these grades."""
    return all(grade is None or (isinstance(grade, str) and grade in MARKS) for grade in grades)


def _estimate(row: Mapping[str, Any], name: str) -> EstimateCell | None:
    value, low, high, grade, is_at_least = (row[f"{name}{end}"] for end in ("", *_ENDS))
    if value is None:
        return None
    return EstimateCell(value, low, high, str(grade), bool(is_at_least), "%" if name.endswith("_rate") else "")


def arranged(columns: Sequence[str], sorted_by: Sequence[str] = ()) -> list[str]:
    """The columns as they are shown: whose it is, what it was sorted by, the rest, and the ids that nobody reads.

    Args:
        columns: Of the answer.
        sorted_by: Those that its rows are in the order of, see ``order_of``.
    """
    names = list(dict.fromkeys(columns))
    if len(names) < len(columns):  # two of one name cannot be told apart
        return list(columns)
    first: list[str] = [name for name in _FIRST if name in names]
    if not any(name in names for name in ("family_name", "strategy")):
        first = [] if len(names) <= FEW_COLUMNS else first
    if "family_name" not in names and "strategy" in names:
        first.insert(0, "strategy")
    has_name = first[:1] in (["family_name"], ["strategy"])
    last = [name for name in names if has_name and (_LAST.fullmatch(name) or name == "strategy") and name not in first]
    # Ids that end an order only keep it the same.
    sorted_by = [name for place, name in enumerate(sorted_by) if not place or not _LAST.fullmatch(name)]
    last = [name for name in last if name not in sorted_by]
    first += [name for name in sorted_by if name in names and name not in first]
    return [*first, *(name for name in names if name not in first and name not in last), *last]


def order_of(statement: str, columns: Sequence[str]) -> list[str]:
    """The columns of an answer that a statement sorts it by, the first one first; none where its order is of something else.

    Args:
        statement: SQL; what DuckDB cannot read has no order.
        columns: Of its answer.
    """
    import duckdb

    if "order" not in statement.casefold():
        return []
    try:
        [(read,)] = _parser().execute("select json_serialize_sql($1)", [statement]).fetchall()
        modifiers = json.loads(read)["statements"][0]["node"]["modifiers"]
    except (duckdb.Error, LookupError, ValueError, RecursionError):
        return []
    spelled = {name.casefold(): name for name in columns}
    found: list[str] = []
    for part in (order for one in modifiers for order in one.get("orders", ())):
        expression = part.get("expression", {})
        if expression.get("class") == "COLUMN_REF":
            name = spelled.get(str(expression["column_names"][-1]).casefold())
        else:
            place = str(expression.get("literal", {}).get("text", ""))
            name = columns[int(place) - 1] if place.isdecimal() and 0 < int(place) <= len(columns) else None
        found += [name] if name is not None and name not in found else []
    return found


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect()
