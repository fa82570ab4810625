"""What there is to ask: the views with their columns, and the named queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics import sql
from analytics.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

VIEWS = ("executions", "nodes", "node_days", "definitions", "definition_nodes", "strategy_days", "partitions")
"""In the order they build on each other."""


_COMMENTS = "\ncomment on view "


def make(connection: duckdb.DuckDBPyConnection, view: str) -> None:
    """Make a view anew, over the tables of the schema ``files`` and the views before it; its comments can wait."""
    statement = sql.text("views", view).partition(_COMMENTS)[0]
    connection.execute(statement.replace("create view", "create or replace view", 1))


def _comment(connection: duckdb.DuckDBPyConnection) -> None:
    """A hundred statements, which take as long as all the rest of opening a lake: for who asks."""
    for view in VIEWS:
        connection.execute("".join(sql.text("views", view).partition(_COMMENTS)[1:]))


def views(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Every view and its meaning."""
    _comment(connection)
    return connection.execute(
        "select view_name as view, comment as meaning from duckdb_views() "
        "where schema_name = 'main' and list_contains($1, view_name) order by view_name",
        [list(VIEWS)],
    ).df()


def columns(connection: duckdb.DuckDBPyConnection, view: str) -> pd.DataFrame:
    """Every column of a view, with unit, meaning and what NULL means.

    Raises:
        UnknownNameError: No such view.
    """
    if view not in VIEWS:
        raise UnknownNameError(
            f"there is no view {view!r}", hint=f"{did_you_mean(view, VIEWS)}views: {', '.join(VIEWS)}"
        )
    _comment(connection)
    return connection.execute(
        'select column_name as "column", data_type as type, comment as meaning from duckdb_columns() '
        "where table_name = $1 and schema_name = 'main' order by column_index",
        [view],
    ).df()


def queries() -> pd.DataFrame:
    """The named queries: name, what each answers, its parameters."""
    import pandas as pd

    texts = {name: sql.text("queries", name) for name in sql.names("queries")}
    return pd.DataFrame(
        {
            "name": list(texts),
            "answers": [sql.title(text) for text in texts.values()],
            "parameters": [", ".join(sql.parameters(text)) for text in texts.values()],
        }
    )
