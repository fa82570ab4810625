"""The known rows: a simulated engine's, the odd ones, and what arrives late or is changed afterwards."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql

from analytics.demo import UNTIL, edge_cases, simulate
from analytics.demo.engine import COLUMNS
from analytics.demo.population import create_tables, definition_rows, fill_tables
from tests.simulated import DEFINITIONS, LOG, insert

RUNS, DAYS = 12_000, 3
FIRST = date(2026, 7, 8)
WINDOWS = (("1969-12-31", "1970-01-02"), ("2026-07-07", "2026-07-12"))
"""The days that have rows: odd ones lie at the epoch."""
LATE = 7
"""Every so many rows arrive after the first extraction."""

CHANGES = (
    # an update that moves nothing but the row's own transaction id and updated_at
    f"update {LOG} set points = -12345.5, updated_at = now() where id in (select id from {LOG} order by id limit 5)",
    # rows that move to another day, and to another tenant
    f"update {LOG} set created_at = '2026-07-10 12:00:00+00', updated_at = now() where id in "
    f"(select id from {LOG} where created_at >= '2026-07-08' and created_at < '2026-07-09' order by id desc limit 3)",
    f"""update {LOG} set "realmId" = 'moved=to/here', updated_at = now() where id in
    (select id from {LOG} where "realmId" = 'sunny-gym' order by id desc limit 3)""",
)

Row = dict[str, str | None]
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Rows:
    """What is written in one go.

    Attributes:
        usual: The simulated engine's.
        odd: Of which a server may refuse some: PostgreSQL 13 has no numeric infinity, LATIN1 no emoji.
    """

    usual: tuple[Row, ...]
    odd: tuple[Row, ...] = ()


@cache
def early() -> Rows:
    """What is there at first."""
    rows = _simulated()
    odd = tuple(dict(one.values) for one in edge_cases(UNTIL))
    return Rows(tuple(row for number, row in enumerate(rows) if number % LATE), odd)


@cache
def late() -> Rows:
    """What commits only after the first extraction, on days that it has read."""
    return Rows(tuple(row for number, row in enumerate(_simulated()) if number % LATE == 0))


@cache
def _simulated() -> tuple[Row, ...]:
    with tempfile.TemporaryDirectory() as folder:
        found = simulate(runs=RUNS, days=DAYS, directory=Path(folder), workers=1)
        lines = found.log_path.read_text(encoding="utf-8").split("\n")
    return tuple(dict(zip(COLUMNS, _fields(line), strict=True)) for line in lines if line)


def _fields(line: str) -> Iterator[str | None]:
    """A line of PostgreSQL's COPY, read (docs: COPY, "Text Format")."""
    for field in line.split("\t"):
        yield None if field == r"\N" else re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), field)


def create(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """The two tables, and the programs."""
    create_tables(connection)
    fill_tables(connection, definition_rows(UNTIL), [])


def write_what_fits(connection: psycopg.Connection[tuple[object, ...]], rows: Sequence[Row]) -> int:
    """The two tables with what the database's encoding can hold, row by row; how many it could not."""
    create_tables(connection)
    programs = [{key: value for key, value in row.items() if value is not None} for row in definition_rows(UNTIL)]
    refused = 0
    for program in programs:
        try:
            with connection.transaction():
                insert(connection, DEFINITIONS, [program])
        except (psycopg.DataError, psycopg.NotSupportedError):
            refused += 1
    return refused + write(connection, Rows((), tuple(rows)))


def write(connection: psycopg.Connection[tuple[object, ...]], rows: Rows, table: str = LOG) -> int:
    """Insert them; how many the server could not hold."""
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    places = sql.SQL(", ").join(sql.Placeholder() * len(COLUMNS))
    statement = sql.SQL("insert into {} ({}) values ({})").format(sql.Identifier(table), names, places)
    with connection.cursor() as cursor:
        cursor.executemany(statement, [_values(row) for row in rows.usual])
    return _write_odd(connection, statement, rows.odd)


def _write_odd(connection: psycopg.Connection[tuple[object, ...]], statement: sql.Composed, rows: Sequence[Row]) -> int:
    refused = 0
    for row in rows:
        try:
            with connection.transaction():
                connection.execute(statement, _values(row))
        except (psycopg.DataError, psycopg.NotSupportedError):
            refused += 1
    return refused


def _values(row: Row) -> list[str | None]:
    return [row[name] for name in COLUMNS]
