"""A relation in a cell: its first rows as a table, whoever wrote what is in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from analytics import page
from analytics.errors import DamagedFileError
from analytics.page import number

if TYPE_CHECKING:
    import duckdb

MOST_ROWS: Final = 20
_LETTERS: Final = 60
_NUMBERS: Final = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DOUBLE|FLOAT|DECIMAL\(\d+,\d+\)")
_NULL: Final = page.mute("NULL")


def shown(relation: duckdb.DuckDBPyRelation) -> page.Block:
    """The first rows as a table; only these, and one more to know whether there is one, are asked for.

    Numbers stand right and are not rounded, times are UTC, NULL is written, and long values are cut.
    """
    import duckdb

    try:
        rows = relation.limit(MOST_ROWS + 1).fetchall()
    except DamagedFileError as error:
        told = f"{error.message}. Repair: {error.hint}"
        return page.Block(page.banner(told).html, told, "answer")
    except duckdb.Error as error:
        told, _, place = str(error).partition("\n\n")
        parts = [page.banner(f"DuckDB: {told}"), *([page.code(place)] if place else [])]
        return page.Block(page.Markup("").join(part.html for part in parts), f"DuckDB: {error}", "answer")
    names = list(relation.columns)
    types = [str(kind) for kind in relation.types]
    if not rows:
        note = page.note(f"No rows. Columns: {', '.join(names)}.")
        return page.Block(note.html, note.text, "answer")
    columns = [
        page.Column(
            str(place),
            page.visible(name) + (" (UTC)" if kind == "TIMESTAMP WITH TIME ZONE" else ""),
            align="right" if _NUMBERS.fullmatch(kind) else "left",
        )
        for place, (name, kind) in enumerate(zip(names, types, strict=True))
    ]
    table = page.table([{str(k): value(cell) for k, cell in enumerate(row)} for row in rows[:MOST_ROWS]], columns)
    more = len(rows) > MOST_ROWS
    below = (
        f"The first {MOST_ROWS} rows; there are more. .df() gives all of them as a frame."
        if more
        else f"{len(rows)} row{'s' * (len(rows) != 1)}."
    )
    html = page.Markup('<div class="rows">{}</div>{}').format(table.html, page.note(below).html)
    return page.Block(html, f"{table.text}\n{below}", "answer")


def value(cell: Any) -> page.Markup:
    """One value as it is: no number rounded, no text left that could hide or act."""
    if cell is None:
        return _NULL
    for kind, write in _WRITERS:
        if isinstance(cell, kind):
            return page.inline(write(cell))
    if isinstance(cell, list) and len(cell) > 1 and isinstance(cell[0], dict):
        return page.author(f"{len(cell)} × {cell[0]}", _LETTERS)
    return page.author(cell if isinstance(cell, str) and cell else str(cell) or "''", _LETTERS)


def _number(cell: Any) -> str:
    return "NaN" if cell != cell else number.exact(cell)


def _moment(cell: datetime) -> str:
    moment = cell.astimezone(UTC) if cell.tzinfo else cell
    text = f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{text}.{moment.microsecond:06d}".rstrip("0") if moment.microsecond else text


_WRITERS: Final[tuple[tuple[Any, Callable[[Any], str]], ...]] = (
    (bool, lambda cell: str(cell).lower()),
    (int | float | Decimal, _number),
    (datetime, _moment),
)
