"""Frames of somebody's own beside the lake's views, for one question."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from analytics.errors import UsageError
from analytics.warehouse.catalog import VIEWS, Answer, Asked, answer

if TYPE_CHECKING:
    import duckdb

    from analytics.sql import Parameters

_NAME = re.compile(r"[A-Za-z_]\w*")
_REPAIR = 'tables={"users": users}'


def answer_with(
    connection: duckdb.DuckDBPyConnection, ask: Asked, query: str, values: Parameters, tables: Mapping[str, Any]
) -> duckdb.DuckDBPyRelation:
    """The answer to a statement that reads frames of somebody's own; they are gone when it is there.

    Other answers are asked again when they are read; this one is kept, because the frames under its names may be others by then.

    Args:
        connection: With the lake's views.
        ask: The lake's, which asks again where a file was replaced.
        query: One statement that reads.
        values: Of its parameters.
        tables: The frames, by their names.

    Raises:
        UsageError: A name is none, or that of a view; or something is no table.
        duckdb.Error: The statement is at fault.
    """
    with _registered(connection, tables):
        rows = ask(lambda: connection.sql(query, params=dict(values) or None).to_arrow_table())
    return answer(connection.from_arrow(rows), ask)


def _frame_of(given: Any) -> Any:
    """What an answer of ours holds; a frame may have a column of that name."""
    return given.frame if hasattr(type(given), "frame") else given


def _why_not(name: object, others: list[str]) -> str:
    """Why a table cannot have a name; empty when it can."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "a name is letters, digits and _"
    if name.casefold() in VIEWS:
        return "a view of the lake has that name"
    if name.casefold() in map(str.casefold, others):  # DuckDB takes them for one, and would read the last
        return "another table has that name, and case does not count"
    return ""


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Any]) -> Iterator[None]:
    import duckdb

    if not isinstance(tables, Mapping):
        raise UsageError(f"tables must be frames by their names, not a {type(tables).__name__}", hint=_REPAIR)
    registered: list[str] = []
    try:
        for name, given in tables.items():
            if why := _why_not(name, registered):
                raise UsageError(f"no table can be called {name!r}: {why}", hint=_REPAIR)
            rows = given.relation.to_arrow_table() if isinstance(given, Answer) else _frame_of(given)
            try:
                connection.register(name, rows)
            except (duckdb.Error, TypeError) as error:
                raise UsageError(
                    f"the table {name!r} is a {type(given).__name__}, which DuckDB cannot read",
                    hint="give a frame of pandas or polars, a table of Arrow (.to_arrow_table()), or an answer of lake.sql",
                ) from error
            registered.append(name)
        yield
    finally:
        for name in registered:
            connection.unregister(name)
