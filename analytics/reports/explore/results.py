"""What a cell shows of an answer: rows as a table, lists of names, marks of days, whoever wrote what is in them."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from analytics.errors import DamagedFileError
from analytics.reports import page
from analytics.reports.common import realm_name
from analytics.reports.explore.answer_table import FEW_COLUMNS, arranged, order_of
from analytics.reports.page import number
from analytics.reports.page.inline import plain, shorten, visible
from analytics.warehouse.catalog import Answer
from analytics.warehouse.coverage import Cell

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

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
    if len(names) > FEW_COLUMNS:
        order = arranged(names, order_of(relation.sql_query(), names))
        places = [names.index(name) for name in order] if len(set(names)) == len(names) else list(range(len(names)))
        names, types = [names[place] for place in places], [types[place] for place in places]
        rows = [tuple(row[place] for place in places) for row in rows]
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
        else counted(len(rows))
    )
    html = page.answer_rows(table, len(columns)) + page.note(below).html
    return page.Block(html, f"{table.text}\n{below}", "answer")


def counted(rows: int) -> str:
    """So many rows, as a sentence."""
    return f"{rows:,} row{'s' * (rows != 1)}."


def text(cell: Any) -> str:
    """One value in plain words, as ``value``; a text that says NULL stands in quotes."""
    return "'NULL'" if cell == "NULL" else plain(value(cell))


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table whose columns stand below each other."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [columns, *rows]]
    return "\n".join(line.rstrip() for line in lines)


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


def teach_ipython() -> None:
    """Do it once in each IPython; nothing where there is none."""
    shell = _shell()
    if shell is None or getattr(shell, "_knows_lakes", False):
        return
    shell._knows_lakes = True  # noqa: SLF001  # a mark of our own on somebody else's object
    from analytics.reports.explore import completion

    shell.Completer.custom_matchers.append(completion.matcher(lambda: shell.user_ns))
    if hasattr(shell, "kernel"):  # a terminal has DuckDB's own tables, which are good
        import duckdb

        for kind in (duckdb.DuckDBPyRelation, Answer):
            shell.display_formatter.mimebundle_formatter.for_type(
                kind, lambda relation, **_asked_for: _bundle(relation)
            )


def _bundle(relation: Any) -> tuple[dict[str, str], dict[str, Any]]:
    return shown(relation)._repr_mimebundle_()


def _shell() -> Any:
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()


_LEAST = 30
_NAMES = ("view", "column", "name", "type", "parameters", "parameter")


def list_names(frame: pd.DataFrame) -> pd.DataFrame:
    """The same frame; what is made of it is an ordinary one."""
    made: pd.DataFrame = _kind()(frame)
    return made


@cache
def _kind() -> type[Any]:
    import pandas as pd

    class Listing(pd.DataFrame):  # type: ignore[misc]  # pandas ships no types
        """A frame of names and sentences."""

        def _repr_mimebundle_(self, **_asked_for: object) -> tuple[dict[str, Any], dict[str, Any]]:
            columns = [page.Column(name, name, role="wide" if name == self.columns[-1] else None) for name in self]
            cells = [{name: _shown(name, cell) for name, cell in row.items()} for row in self.to_dict("records")]
            table = page.table(cells, columns)
            html = page.answer_rows(table, len(columns))
            return page.Block(html, repr(self), "answer")._repr_mimebundle_()

        def __repr__(self) -> str:
            return _text(self)

    return Listing


def _shown(name: str, cell: Any) -> page.Markup:
    text = "" if cell is None or cell != cell else str(cell)
    return page.mono(page.author(text)) if name in _NAMES and text else page.inline(text)


def _text(frame: pd.DataFrame) -> str:
    """Columns as wide as they must be, the last one wrapped to the terminal."""
    rows = [[str(name) for name in frame.columns], *([_plain(cell) for cell in row] for row in frame.to_numpy())]
    if len(rows) == 1:
        return "(nothing)"
    *heads, _ = zip(*rows, strict=True)
    widths = [max(map(len, column)) for column in heads]
    before = sum(width + 2 for width in widths)
    room = max(shutil.get_terminal_size((120, 24)).columns - before, _LEAST)
    told = []
    for row in rows:
        first, *rest = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        head = "".join(f"{cell:{width}}  " for cell, width in zip(row[:-1], widths, strict=True))
        told += [head + first, *(" " * before + line for line in rest)]
    return "\n".join(line.rstrip() for line in told)


def _plain(cell: Any) -> str:
    return "" if cell is None or cell != cell else page.visible(str(cell))


MARKS: Mapping[str, str] = {
    "complete": "●",
    "empty": "–",
    "partial": "◐",
    "missing": "·",
    "stale": "!",
    "expired": "×",  # a cross is meant
}
_MARK_LETTERS = 40


def day_label(realm: str | None) -> str:
    """A tenant's name for one line of a terminal."""
    return shorten(visible(realm_name(realm)), _MARK_LETTERS)


def calendar_lines(cells: Iterable[Cell], days: Sequence[date]) -> list[str]:
    """A heading with the days, and a line for each realm of the cells; the number of its logged runs at the end."""
    by_realm: dict[str | None, dict[date | None, Cell]] = {}
    for cell in cells:
        by_realm.setdefault(cell.realm, {})[cell.day] = cell
    names = {realm: day_label(realm) for realm in by_realm}
    width = max(map(len, names.values()), default=0)
    told = [f"{'':{width}}  " + " ".join(f"{day:%d}" for day in days) + f"   {days[0]} to {days[-1]}" if days else ""]
    for realm, own in by_realm.items():
        marks = " ".join(f"{MARKS[own[day].state] if day in own else ' ':>2}" for day in days)
        told.append(
            f"{names[realm]:{width}}  {marks}   {number.counted(sum(cell.logged_count for cell in own.values()), 'logged run')}"
        )
    return told


def calendar_key() -> str:
    """What the marks mean."""
    return "   ".join(f"{mark} {state}" for state, mark in MARKS.items())
