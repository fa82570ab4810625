"""What DuckDB refused, as a sentence with the repair: a name that is near, how text is quoted, what a parameter is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from analytics import sql
from analytics.errors import QueryError, UnknownNameError, did_you_mean

_TABLE = re.compile(r"Table with name (\S+) does not exist")
_COLUMN = re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"')
_VALUES = re.compile(r"Values were not provided for the following parameters: (.+)")


def of_statement(
    error: Exception, statement: str, views: Sequence[str], columns: Callable[[str], Iterable[str]]
) -> QueryError:
    """DuckDB's refusal of somebody's own SQL.

    Args:
        error: What DuckDB raised.
        statement: The SQL.
        views: Names of all views.
        columns: The columns of one.
    """
    said = str(error)
    hint = f"views: {', '.join(views)}; describe() shows their columns"
    if match := _TABLE.search(said):
        said = said.split("\n")[0]  # what follows is DuckDB's own guess, which knows of more than the views
        hint = did_you_mean(match[1], views) + hint
    elif match := _COLUMN.search(said):
        said = said.split("\n")[0]
        asked = [view for view in views if re.search(rf"\b{view}\b", statement)]
        near = did_you_mean(match[1], dict.fromkeys(name for view in asked for name in columns(view)))
        shown = " or ".join(f"describe({view!r})" for view in asked) or "describe()"
        quoted = "" if near else f"; if it is text, write it in single quotes: '{match[1]}'"
        hint = f"{near}{shown} lists the columns{quoted}\n  views: {', '.join(views)}"
    elif match := _VALUES.search(said):
        given = ", ".join(f"{name}=…" for name in match[1].split(", "))
        hint = f'give their values by name: lake.sql("…", {given})\n  {hint}'
    return QueryError(f"DuckDB: {said}", hint=hint)


def of_query(error: Exception, name: str) -> QueryError:
    """DuckDB's refusal of a named query: somebody gave a value of another type."""
    told = sql.explained(sql.text("queries", name))
    takes = "; ".join(f"{parameter}: {words.rstrip('.')}" for parameter, words in told.items())
    # The lines below are of a statement that the caller has not written.
    said = str(error).split("\n\nLINE ")[0]
    return QueryError(
        f"query {name}: {said}", hint=f"it takes {takes}" if takes else "it takes no parameters", query=name
    )


def check_parameters(name: str, given: Mapping[str, object]) -> tuple[str, ...]:
    """The parameters of a named query.

    Raises:
        UnknownNameError: No such query, or one was given that it does not have.
    """
    wanted = sql.parameters(sql.text("queries", name))
    unknown = sorted(set(given) - set(wanted))
    if unknown:
        near = did_you_mean(unknown[0], wanted)
        raise UnknownNameError(
            f"query {name} has no parameter {', '.join(unknown)}",
            hint=f"{near}it has: {', '.join(wanted) or 'none'}",
            query=name,
        )
    return wanted
