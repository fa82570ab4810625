"""Questions of the lake: what there is to ask, what an answer is, and what DuckDB refused, as a sentence with the repair.

There are views with their columns, and named queries. An answer is DuckDB's relation, which names the damaged file when its rows
cannot be read: a relation runs when its rows are asked for, long after the call that made it, and again each time, so what may go
wrong goes wrong there, out of the hands of whoever opened the lake. The repair of a question is a name that is near, how text is
quoted, what a parameter is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from analytics import sql
from analytics.errors import ConfigurationError, QueryError, UnknownNameError, UsageError, did_you_mean
from analytics.window import moment

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Asked = Callable[[Callable[[], Any]], Any]


class Answer:
    """A relation; all that it can is DuckDB's own.

    Args:
        relation: DuckDB's.
        asked: Runs a question, and makes a sentence of damage.
    """

    __slots__ = ("_asked", "relation")

    def __init__(self, relation: Any, asked: Asked) -> None:
        self.relation, self._asked = relation, asked

    def __getattr__(self, name: str) -> Any:
        if name in Answer.__slots__:  # not made yet: somebody copies it
            raise AttributeError(name)
        if name in _WRITES:
            raise QueryError(f"DuckDB: {name}: {READS_ONLY}", hint=FILE_REPAIR)
        value = self._asked(lambda: getattr(self.relation, name))  # some attributes run the query
        if not callable(value):
            return value

        @functools.wraps(value)
        def called(*args: Any, **options: Any) -> Any:
            return self._made(
                lambda: getattr(self.relation, name)(
                    *map(_plain, args), **{key: _plain(option) for key, option in options.items()}
                )
            )

        return called

    def _made(self, ask: Callable[[], Any]) -> Any:
        import duckdb

        found = self._asked(ask)
        return Answer(found, self._asked) if isinstance(found, duckdb.DuckDBPyRelation) else found

    def pl(self) -> Any:
        """All rows as a frame of polars.

        Raises:
            ConfigurationError: polars is not installed.
        """
        return to_polars(self._asked(self.relation.to_arrow_table))

    def __dir__(self) -> list[str]:
        return [name for name in dir(self.relation) if name not in _WRITES]  # what a notebook completes

    def __getitem__(self, columns: Any) -> Any:
        return self._made(lambda: self.relation[columns])

    def __len__(self) -> int:
        return int(self._asked(lambda: len(self.relation)))

    def __contains__(self, column: object) -> bool:
        return column in self.relation

    def __repr__(self) -> str:
        return str(self._asked(lambda: repr(self.relation)))

    def __str__(self) -> str:
        return str(self._asked(lambda: str(self.relation)))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._asked(lambda: self.relation.__arrow_c_stream__(requested_schema))


def answer(relation: duckdb.DuckDBPyRelation, asked: Asked) -> duckdb.DuckDBPyRelation:
    """The relation as an ``Answer``; it can all that its type says."""
    return cast("duckdb.DuckDBPyRelation", Answer(relation, asked))


def to_polars(rows: Any) -> Any:
    """A frame of pandas, or a table of Arrow, in polars.

    Raises:
        ConfigurationError: polars is not installed.
    """
    try:
        import polars
    except ModuleNotFoundError:
        raise ConfigurationError(
            "polars is not installed, which .pl() needs",
            hint="pip install 'polars>=1.30', as the extra strategy-log-analytics[polars] does; or take .df() (pandas)",
        ) from None
    return polars.from_arrow(rows) if hasattr(rows, "schema") else polars.from_pandas(rows)


LISTED = "`strategy-analytics query --list` says what they hold"
READS_ONLY = "a lake is only read here, and DuckDB writes no file"
FILE_REPAIR = (
    'for a file: lake.sql("…").df().to_parquet("answer.parquet"), or .to_csv; '
    "or strategy-analytics query --format parquet --out FILE"
)
_KEEP_REPAIR = (
    'keep an answer in a variable, and ask it by a name: found = lake.sql("…"); '
    'lake.sql("from found", tables={"found": found})'
)
_WRITES = ("write_csv", "to_csv", "write_parquet", "to_parquet")


def refusal_of_writing(kinds: Sequence[str]) -> QueryError:
    """Why a text that is not one reading statement is not run.

    Args:
        kinds: DuckDB's names of the kinds of its statements.
    """
    if len(kinds) != 1:
        return QueryError(
            f"DuckDB: {len(kinds)} statements, and only one that reads is taken",
            hint=f"ask them one after the other; views to read: {', '.join(VIEWS)}",
        )
    if kinds[0] in ("COPY", "EXPORT"):
        return QueryError(
            f"DuckDB: {READS_ONLY}", hint=FILE_REPAIR, command_hint="for a file: --format parquet --out FILE"
        )
    if kinds[0] in ("CREATE", "INSERT", "UPDATE", "DELETE", "ALTER", "DROP"):
        return QueryError(
            f"DuckDB: {kinds[0].lower()}: a lake is only read here",
            hint=_KEEP_REPAIR,
            command_hint="keep an answer in a file: --format parquet --out FILE",
        )
    return QueryError("DuckDB: only a statement that reads is taken", hint=f"views to read: {', '.join(VIEWS)}")


def with_moments(given: Mapping[str, Any], *, only_words: bool = False) -> dict[str, Any]:
    """Values for a question's parameters, the ends of its window as times where they are words: ``7d``, ``yesterday``, a date.

    Args:
        given: By their names; ``since`` and ``until`` are the ends.
        only_words: Leave dates as they are, which a statement of one's own may compare with days.

    Raises:
        UsageError: The window ends before it begins, in words: its answer would look like a quiet one.
    """
    found = dict(given)
    for name in ("since", "until"):
        word = found.get(name)
        if isinstance(word, str) and not (only_words and word[:1].isdigit() and word[-1:] not in "dhDH"):
            try:
                found[name] = moment(word)
            except UsageError:
                continue  # DuckDB reads more ways to write a time, and says what it cannot
    since, until = (found.get(name) if isinstance(given.get(name), str) else None for name in ("since", "until"))
    if isinstance(since, datetime) and isinstance(until, datetime) and since > until:
        raise UsageError(
            f"the window ends before it begins: since {given['since']}, until {given['until']}",
            hint="until is the first moment that is not in it",
        )
    return found


def _plain(value: Any) -> Any:
    return value.relation if isinstance(value, Answer) else value


_TABLE = re.compile(r"Table with name (\S+) does not exist")
_COLUMN = re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"')
_VALUES = re.compile(r"Values were not provided for the following parameters: (.+)")


def refusal_of_statement(
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
    if 'Ambiguous reference to column name "family_name"' in said:
        said = said.split("\n")[0]
        hint = "executions, nodes and node_days have family_name themselves: leave out the join with definitions"
    elif match := _TABLE.search(said):
        said = said.split("\n")[0]  # what follows is DuckDB's own guess, which knows of more than the views
        hint = did_you_mean(match[1], views) + hint
    elif match := _COLUMN.search(said):
        said = said.split("\n")[0]
        asked = [view for view in views if re.search(rf"\b{view}\b", statement)]
        near = did_you_mean(match[1], dict.fromkeys(name for view in asked for name in columns(view)))
        shown = " or ".join(f"describe({view!r})" for view in asked) or "describe()"
        quoted = "" if near else f"; if it is text, write it in single quotes: '{match[1]}'"
        hint = f"{near}{shown} lists the columns{quoted}\n  views: {', '.join(views)}"
    elif (match := _VALUES.search(said)) and match[1].replace(", ", "").isdigit():
        hint = 'write a value as $name, and give it by name: lake.sql("select $size", size=5)'
        command = "write a value as $name, and give it by name: --param name=…"
        return QueryError(f"DuckDB: {said}", hint=hint, command_hint=command)
    elif match := _VALUES.search(said):
        given = ", ".join(f"{name}=…" for name in match[1].split(", "))
        command = f"give their values: {' '.join(f'--param {name}=…' for name in match[1].split(', '))}\n  {hint}"
        hint = f'give their values by name: lake.sql("…", {given})\n  {hint}'
        return QueryError(f"DuckDB: {said}", hint=hint, command_hint=command)
    return QueryError(f"DuckDB: {said}", hint=hint, command_hint=hint.replace("describe() shows their columns", LISTED))


def refusal_of_query(error: Exception, name: str) -> QueryError:
    """DuckDB's refusal of a named query: somebody gave a value of another type."""
    told = sql.explained(sql.text("queries", name))
    takes = "; ".join(f"{parameter}: {words.rstrip('.')}" for parameter, words in told.items())
    # The lines below are of a statement that the caller has not written.
    said = str(error).split("\n\nLINE ")[0]
    words = ". A time is written 2026-07-08, '2026-07-08 09:30' (UTC), yesterday, 7d or 12h" if "since" in told else ""
    return QueryError(
        f"query {name}: {said}", hint=f"it takes {takes}{words}" if takes else "it takes no parameters", query=name
    )


_NO_NUMBERS = {"varchar": ("a text", ""), "text": ("a text", ""), "timestamptz": ("a time", "2026-07-08")}


def check_parameters(name: str, given: Mapping[str, object]) -> tuple[str, ...]:
    """The parameters of a named query.

    Raises:
        UnknownNameError: No such query, or one was given that it does not have.
        UsageError: A number stands where a text or a time belongs: DuckDB would compare numbers, and name some row's value.
    """
    statement = sql.text("queries", name)
    wanted = sql.parameters(statement)
    unknown = sorted(set(given) - set(wanted))
    if unknown:
        near = did_you_mean(unknown[0], wanted)
        raise UnknownNameError(
            f"query {name} has no parameter {', '.join(unknown)}",
            hint=f"{near}it has: {', '.join(wanted) or 'none'}",
            query=name,
        )
    kinds = {parameter: words.partition(",")[0] for parameter, words in sql.explained(statement).items()}
    for parameter, value in given.items():
        if isinstance(value, bool | int | float) and kinds[parameter] in _NO_NUMBERS:
            what, such = _NO_NUMBERS[kinds[parameter]]
            raise UsageError(
                f"query {name}: {parameter} must be {what}, not {value!r}",
                hint=f'put it in quotation marks: {parameter}="{such or value}"',
                query=name,
            )
    return wanted


VIEWS = ("definitions", "executions", "nodes", "node_days", "definition_nodes", "strategy_days", "partitions")
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
    """The named queries: name, for whom (you, or the reports), what each answers, its parameters; those for you first."""
    import pandas as pd

    every = {name: sql.text("queries", name) for name in sql.names("queries")}
    texts = dict(sorted(every.items(), key=lambda named: sql.is_for_reports(named[1])))
    return pd.DataFrame(
        {
            "name": list(texts),
            "for": ["reports" if sql.is_for_reports(text) else "you" for text in texts.values()],
            "answers": [sql.title(text) for text in texts.values()],
            "parameters": [", ".join(sql.parameters(text)) for text in texts.values()],
        }
    )
