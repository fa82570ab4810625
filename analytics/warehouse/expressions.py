"""Expressions that somebody types for a group or a condition: each is proved to be one before it is part of a statement.

A text is not searched for bad words. DuckDB's own parser reads the statement that it would become, and what it read must be that
statement with one expression in it; then the expression is walked. What is left is a computation on one row: it reads no file
and no other table, adds no rows, answers the same each time, makes nothing as long as a number says, and does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analytics.errors import QueryError, UsageError
from analytics.warehouse import catalog

if TYPE_CHECKING:
    import duckdb

VIEW: Final = "executions"
_MOST_LETTERS: Final = 4_000
"""Nobody types a longer one, and a parser's work on nested brackets grows with their depth."""
_MOST_DEPTH: Final = 400
_PLACES: Final = ("query_location", "query_location_length")
_REFUSED: Final = {
    "SUBQUERY": "asks another table",
    "WINDOW": "looks at other rows",
    "STAR": "is all columns",
    "PARAMETER": "has a parameter",
}
_OF_THE_SESSION: Final = ("getvariable", "current_setting")
"""What they tell is nothing of a run."""
_AS_LONG_AS_ASKED: Final = (
    "array_reduce", "array_resize", "bar", "bitstring", "equi_width_bins", "format", "generate_series", "list_reduce",
    "list_resize", "lpad", "printf", "range", "reduce", "repeat", "rpad",
)  # fmt: skip
"""What they make is as long as a number says, or doubles with each element: lists and texts of gigabytes for every row, which
no limit of DuckDB's memory stops in time."""
_REPAIR: Final = (
    "give one expression over the columns of executions, such as dayname(created_at); describe('executions') lists them"
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A text that is one expression over the columns of a run.

    Attributes:
        text: As it was given, without the blanks around it.
        columns: Names that it refers to, in lower case.
    """

    text: str
    columns: frozenset[str]

    @property
    def is_column(self) -> bool:
        """It is the name of a column and nothing else."""
        return self.text.strip('"').casefold() in self.columns

    def parsed(self) -> duckdb.Expression:
        """As DuckDB's own object, which a relation takes; no statement is put together of texts."""
        import duckdb

        return duckdb.SQLExpression(_within_brackets(self.text))


def read_expression(connection: duckdb.DuckDBPyConnection, text: str, meant: str) -> Expression:
    """A text as an expression.

    Args:
        connection: Whose parser reads it, and whose functions there are.
        text: What somebody typed.
        meant: For what, as the sentence of a refusal begins: ``by``, ``where``.

    Raises:
        QueryError: It is none, is several, or does more than compute something of one row.
    """
    text = text.strip()
    shown = repr(text if len(text) <= 80 else f"{text[:80]}…")
    if wrong := wrong_letters(text):
        raise QueryError(f"{meant} {shown} {wrong}", hint=_REPAIR)
    found = _one_expression(connection, _within_brackets(text), f"{meant} {shown}")
    parts = list(_parts(found))
    _check(connection, parts, f"{meant} {shown}", seen=frozenset())
    columns = [name for part in parts if part.get("class") == "COLUMN_REF" for name in part["column_names"][-1:]]
    return Expression(text, frozenset(name.casefold() for name in columns))


def bind(relation: duckdb.DuckDBPyRelation, expression: Expression, meant: str) -> str:
    """The type that an expression has over a relation.

    Raises:
        QueryError: It names what there is not, or computes what cannot be.
    """
    import duckdb

    try:
        return str(relation.select(expression.parsed()).types[0])
    except duckdb.Error as error:
        raise refusal(error, relation.columns, f"{meant} {expression.text!r}") from error


def refusal(error: Exception, columns: list[str], meant: str) -> QueryError:
    """DuckDB's refusal of an expression, or of the rows that it met, with the column that may be meant."""
    found = catalog.refusal_of_statement(error, VIEW, (VIEW,), lambda _: columns)
    said = found.message.removeprefix("DuckDB: ").split("\n")[0]
    hint = found.hint.removesuffix(f"\n  views: {VIEW}")
    for words in ("describe() shows their columns", catalog.LISTED):
        hint = hint.replace(f"views: {VIEW}; {words}", _REPAIR)
    return QueryError(f"{meant}: DuckDB: {said}", hint=hint)


def wrong_letters(text: str) -> str:
    """Why no parser is given a text; empty where it may be."""
    if not text:
        return "is empty"
    if len(text) > _MOST_LETTERS:
        return f"has more than {_MOST_LETTERS:,} letters"
    if "\0" in text:
        return "holds a NUL"
    return "holds half a letter" if any("\ud800" <= letter <= "\udfff" for letter in text) else ""


def _within_brackets(text: str) -> str:
    """The line's end closes a comment."""
    return f"({text}\n)"


def _one_expression(connection: duckdb.DuckDBPyConnection, text: str, told: str) -> dict[str, Any]:
    statement, empty = _read(connection, text), _read(connection, "(0)")
    if statement.get("error"):
        said = str(statement.get("error_message", "")).split("\n")[0]
        raise QueryError(f"{told} is no expression: {said}", hint=_REPAIR)
    listed = _expressions_of(statement)
    if listed is None or len(listed) != 1 or _without_places(statement) != _without_places(empty):
        raise QueryError(f"{told} is not one expression", hint=_REPAIR)
    found: dict[str, Any] = listed[0]
    if found.get("class") == "FUNCTION" and found.get("function_name") == "row":
        raise QueryError(f"{told} is not one expression", hint='write them one by one: by=["status", "error_code"]')
    return found


def _read(connection: duckdb.DuckDBPyConnection, text: str) -> dict[str, Any]:
    """What DuckDB's parser makes of the statement with that text; it is not run."""
    statement = f"select {text} from {VIEW}"  # noqa: S608  # read by the parser, as a value, and never run
    [(read,)] = connection.execute("select json_serialize_sql($1)", [statement]).fetchall()
    try:
        found: dict[str, Any] = json.loads(read)
    except RecursionError as error:
        raise UsageError("an expression is nested too deeply", hint=_REPAIR) from error
    return found


def _expressions_of(statement: dict[str, Any]) -> list[Any] | None:
    """What the statement selects; ``None`` where it is of another shape."""
    statements = statement.get("statements")
    node = statements[0].get("node") if isinstance(statements, list) and len(statements) == 1 else None
    listed = node.get("select_list") if isinstance(node, dict) else None
    return listed if isinstance(listed, list) else None


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: _without_places(v) for k, v in value.items() if k not in (*_PLACES, "select_list", "named_param_map")
        }
    return [_without_places(one) for one in value] if isinstance(value, list) else value


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parsed expression, without recursion: brackets may be deep."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        one, depth = waiting.pop()
        if depth > _MOST_DEPTH:
            raise UsageError("an expression is nested too deeply", hint=_REPAIR)
        if isinstance(one, dict):
            yield one
            waiting += [(inner, depth + 1) for inner in one.values()]
        elif isinstance(one, list):
            waiting += [(inner, depth + 1) for inner in one]


def _check(connection: duckdb.DuckDBPyConnection, parts: list[dict[str, Any]], told: str, seen: frozenset[str]) -> None:
    for part in parts:
        if wrong := _REFUSED.get(str(part.get("class"))):
            raise QueryError(f"{told} {wrong}", hint=_REPAIR)
        if part.get("class") == "FUNCTION" and (name := str(part.get("function_name")).casefold()) not in seen:
            _check_function(connection, name, told, seen | {name})


def _check_function(connection: duckdb.DuckDBPyConnection, name: str, told: str, seen: frozenset[str]) -> None:
    known = connection.execute(
        "select function_type, stability, macro_definition from duckdb_functions() where function_name = $1", [name]
    ).fetchall()
    kinds = {kind for kind, _, _ in known}
    if kinds and not kinds & {"scalar", "macro"}:
        told_kind = "adds up rows" if "aggregate" in kinds else "makes rows"
        raise QueryError(f"{told}: {name}() {told_kind}", hint=_REPAIR)
    if name in _OF_THE_SESSION:
        raise QueryError(f"{told}: {name}() tells nothing of a run", hint=_REPAIR)
    if name in _AS_LONG_AS_ASKED:
        raise QueryError(f"{told}: {name}() makes lists or texts of any length", hint=_REPAIR)
    if any(kind == "scalar" and stability == "VOLATILE" for kind, stability, _ in known):
        raise QueryError(f"{told}: {name}() answers otherwise each time, or does something", hint=_REPAIR)
    for kind, _, definition in known:
        if kind == "macro":
            parts = list(_parts(_one_expression(connection, _within_brackets(definition), told)))
            _check(connection, parts, told, seen)
