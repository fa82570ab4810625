"""The odd rows a log may hold, and what each way of reading makes of them, judged against PostgreSQL's own text."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import psycopg
from psycopg import sql

from analytics.demo.population import create_tables
from benchmarks.server import in_database

DATABASE = "bench_edges"
SINCE, UNTIL = date(2026, 7, 8), date(2026, 7, 9)
BARE_TIME = "µs since 1970: "
"""Marks a time that Arrow holds and Python's own type cannot."""

LONG_NUMBER = "9" * 300
_ENTRY = '[{"nodeId": "n", "type": "field", "value": %s}]'


@dataclass(frozen=True, slots=True)
class Edge:
    """One odd row.

    Attributes:
        name: What is odd about it.
        column: Where.
        value: As PostgreSQL reads it from text; None is NULL.
    """

    name: str
    column: str
    value: str | None

    @property
    def row_id(self) -> str:
        """Of its row."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.name))


EDGES = (
    Edge("an ordinary row", "points", "2.5"),
    Edge("points NaN", "points", "NaN"),
    Edge("points Infinity", "points", "Infinity"),
    Edge("points −Infinity", "points", "-Infinity"),
    Edge("points NULL", "points", None),
    Edge("points 2^53 + 1", "points", "9007199254740993"),
    Edge("points 1e-30", "points", "1e-30"),
    Edge("points 0.1 as a double's exact expansion", "points", str(Decimal.from_float(0.1))),
    Edge("created_at infinity", "created_at", "infinity"),
    Edge("created_at −infinity", "created_at", "-infinity"),
    Edge("created_at 44 BC", "created_at", "0044-03-15 12:00:00+00 BC"),
    Edge("created_at in the year 20000", "created_at", "20000-01-01 00:00:00+00"),
    Edge("created_at NULL", "created_at", None),
    Edge("realm NULL", "realmId", None),
    Edge("realm the empty string", "realmId", ""),
    Edge("newline, tab, quote, backslash in text", "caseName", 'two\nlines\tand "quotes" \\N, \\.'),
    Edge("control characters in text", "caseName", "\x01\x02\x1f"),
    Edge("emoji and right-to-left in text", "caseName", "🏅 ‏שלום"),
    Edge("integer of 300 digits in a trace", "trace", _ENTRY % LONG_NUMBER),
    Edge("1.10 in a trace", "trace", _ENTRY % "1.10"),
    Edge("25-digit decimal in a trace", "trace", _ENTRY % "12345678901234567890123.25"),
    Edge('"1" and "true" as text in a trace', "trace", _ENTRY % '["1", "true", 1, true]'),
    Edge("nested value with null in a trace", "trace", _ENTRY % '{"a": [null, {"b": "\\n\\u0001"}]}'),
    Edge(
        "branch null, branch missing in a trace",
        "trace",
        '[{"nodeId": null, "type": "and", "value": true, "branch": null}, {}]',
    ),
    Edge("the JSON value null as trace", "trace", "null"),
    Edge("SQL NULL as trace", "trace", None),
    Edge("an empty trace", "trace", "[]"),
    Edge("a trace that is no array", "trace", '{"nodeId": 1}'),
)

_KINDS = {"points": "number", "created_at": "time", "realmId": "text", "caseName": "text", "trace": "json"}


def prepare(server_url: str) -> str:
    """A database with these rows and no others; made anew, it is small."""
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(DATABASE)))
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    url = in_database(server_url, DATABASE)
    with psycopg.connect(url) as connection:
        create_tables(connection)
        for edge in EDGES:
            row: dict[str, Any] = {
                "id": edge.row_id,
                "created_at": f"{SINCE} 12:00:00+00",
                "updated_at": f"{SINCE} 12:00:00+00",
                "strategyId": "s",
                "strategyVersion": 1,
                "strategyType": "DSL_FULL",
                "realmId": "tenant",
                "status": "ok",
                "points": "1",
                "durationMs": "1.5",
                "nodesExecuted": 1,
                "trace": _ENTRY % "1",
                "sampled": True,
            }
            row[edge.column] = edge.value
            names = sql.SQL(", ").join(map(sql.Identifier, row))
            places = sql.SQL(", ").join(sql.Placeholder() * len(row))
            statement = sql.SQL("insert into strategyexecutionlog ({}) values ({})").format(names, places)
            connection.execute(statement, list(row.values()))
    return url


def truths(url: str) -> dict[str, str | None]:
    """PostgreSQL's own text of every odd value, by the edge's name."""
    found: dict[str, str | None] = {}
    with psycopg.connect(url) as connection:
        connection.execute("set timezone = 'UTC'; set extra_float_digits = 3")
        for edge in EDGES:
            statement = sql.SQL("select {}::text from strategyexecutionlog where id = %s").format(
                sql.Identifier(edge.column)
            )
            [(found[edge.name],)] = connection.execute(statement, [edge.row_id]).fetchall()
    return found


def judge(connection: psycopg.Connection[Any], edge: Edge, truth: str | None, got: dict[str, Any]) -> str:
    """One word or two on what became of a value.

    Args:
        connection: To PostgreSQL, which decides whether two JSON texts are the same.
        edge: The row.
        truth: PostgreSQL's text.
        got: ``value``, the reader's text or None; or ``error`` where it gave up; or neither where the row is missing.
    """
    if "error" in got:
        return f"refused: {got['error'].partition(':')[0]}"
    if "value" not in got:
        return "row lost"
    value = got["value"]
    if value == truth:
        return "same"
    if value is None:
        return "lost: NULL"
    if truth is None:
        return f"changed: {_short(value)}"
    match _KINDS[edge.column]:
        case "number":
            return _judge_number(truth, value)
        case "json":
            return _judge_json(connection, truth, value)
        case "time" if value.startswith(BARE_TIME):
            return _judge_time(connection, truth, int(value.removeprefix(BARE_TIME)))
        case _:
            return f"changed: {_short(value)}"


def _judge_time(connection: psycopg.Connection[Any], truth: str, microseconds: int) -> str:
    """PostgreSQL says which time a bare number is; where it cannot, neither can anyone."""
    try:
        with connection.transaction():
            connection.execute("set local timezone = 'UTC'")
            [(text,)] = connection.execute(
                "select (timestamptz 'epoch' + %s * interval '1 day' + %s * interval '1 microsecond')::text",
                divmod(microseconds, 86_400_000_000),
            ).fetchall()
    except psycopg.Error:
        return "changed: no time at all"
    return "same" if text == truth else f"changed: {_short(text)}"


def _judge_number(truth: str, value: str) -> str:
    try:
        exact, found = Decimal(truth), Decimal(value)
    except InvalidOperation:
        return f"changed: {_short(value)}"
    if exact == found or (exact.is_nan() and found.is_nan()):
        return "same"
    # the engine computes with doubles: the nearest double is what it had in its hands
    return "nearest double" if float(exact) == float(found) else f"changed: {_short(value)}"


def _judge_json(connection: psycopg.Connection[Any], truth: str, value: str) -> str:
    try:
        with connection.transaction():
            [(spelled, equal)] = connection.execute(
                "select %(value)s::jsonb::text, %(value)s::jsonb = %(truth)s::jsonb", {"value": value, "truth": truth}
            ).fetchall()
    except psycopg.Error:
        return f"changed: {_short(value)}"
    if spelled == truth:
        return "same"
    return "respelled" if equal else f"changed: {_short(spelled)}"


def _short(value: str) -> str:
    text = ascii(value)[1:-1]
    return text if len(text) <= 28 else text[:12] + "…" + text[-12:]
