"""Log tables of any size, filled on the server: 1.5 million rows with 42 million trace entries in a minute or two.

The heap lies in order of created_at, as an engine's own table nearly does; all of the engine's indexes are there. A table is
kept in a database of its own and found again by the next run; another definition of the data makes another name.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import pool
from benchmarks.server import HERE, in_database

FIRST_DAY = date(2026, 6, 1)
LARGE, SMALL = 1_500_000, 150_000

_UNIT = """
create or replace function unit(n bigint, salt integer) returns float8 immutable parallel safe language sql
return (hashint8extended(n, salt) & 1073741823)::float8 / 1073741824
"""
"""A number in [0, 1) that follows from the row's."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table is to hold.

    Attributes:
        rows: Of the log.
        realms, days, strategies: Tenants, days and strategies per tenant the rows spread over.
        structures, variants: Programs, and runs per program and version, that rows draw their trace from.
        even: All tenants have the same number of rows; else a few have most.
        distinct: Every number in a trace differs from run to run; else runs are drawn from a pool.
    """

    rows: int
    realms: int = 8
    days: int = 14
    strategies: int = 5
    structures: int = pool.STRUCTURES
    variants: int = pool.VARIANTS
    even: bool = False
    distinct: bool = False

    @property
    def name(self) -> str:
        """Of the database; changes with everything that decides what is in it."""
        made_by = (_sql("fill"), _sql("pool"), inspect.getsource(pool), _UNIT, FIRST_DAY.isoformat())
        digest = hashlib.sha256("\n".join([repr(astuple(self)), *made_by]).encode()).hexdigest()[:8]
        return f"bench_{self.rows}_{digest}"


@dataclass(frozen=True, slots=True)
class Table:
    """A filled table.

    Attributes:
        url: Of its database.
        rows, entries: Of the log, and of their stored traces.
        since, until: The days it covers, until exclusive.
        megabytes: Of the table with TOAST, without indexes.
    """

    name: str
    url: str
    rows: int
    entries: int
    since: date
    until: date
    megabytes: float


def prepare(server_url: str, shape: Shape) -> Table:
    """The table of this shape; made when the server does not have it yet, or has half of it."""
    url = in_database(server_url, shape.name)
    with psycopg.connect(server_url, autocommit=True) as admin:
        exists = admin.execute("select 1 from pg_database where datname = %s", [shape.name]).fetchone()
        if exists and not _is_ready(url):
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(shape.name)))
            exists = None
        if not exists:
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(shape.name)))
            _make(url, shape)
    return _describe(url, shape)


@contextlib.contextmanager
def more_rows(table: Table, shape: Shape, count: int) -> Iterator[date]:
    """Has this many rows more on the days after the last one, and gives the end of the last of those days."""
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute("create table bench_touched ()")
        add_rows(connection, shape, shape.rows, shape.rows + count - 1)
        connection.execute("analyze strategyexecutionlog")
    try:
        yield table.until + timedelta(days=(count - 1) * shape.days // shape.rows + 1)
    finally:
        with psycopg.connect(table.url, autocommit=True) as connection:
            connection.execute(
                "delete from strategyexecutionlog where created_at >= %s", [f"{table.until} 00:00:00+00"]
            )
            # the rows were the last of the heap: the table is then as it was
            connection.execute("vacuum analyze strategyexecutionlog")
            connection.execute("drop table bench_touched")


@contextlib.contextmanager
def brin_index(table: Table) -> Iterator[None]:
    """Has the index on created_at that the README advises."""
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute("create index if not exists bench_brin on strategyexecutionlog using brin (created_at)")
        connection.execute("analyze strategyexecutionlog")
    try:
        yield
    finally:
        with psycopg.connect(table.url, autocommit=True) as connection:
            connection.execute("drop index if exists bench_brin")


def _is_ready(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop index if exists bench_brin")  # of a run that was killed
        # also after a run that was killed between adding rows and taking them away again
        mark = connection.execute("select to_regclass('bench_ready'), to_regclass('bench_touched')").fetchone()
    return mark is not None and mark[0] is not None and mark[1] is None


def _make(url: str, shape: Shape) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        tables = resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_text(encoding="utf-8")
        # the indexes after the rows: a fifth of the time
        parts = tables.partition('create index if not exists "ix_')
        connection.execute(parts[0])
        connection.execute(_sql("pool"))
        connection.execute(_UNIT)
        with connection.cursor() as cursor, cursor.copy("copy bench_pool from stdin") as copy:
            for drawn in pool.draw(shape.structures, shape.variants):
                copy.write_row(astuple(drawn))
        connection.execute("vacuum analyze bench_pool")
        add_rows(connection, shape, 0, shape.rows - 1)
        connection.execute(parts[1] + parts[2])
        connection.execute("vacuum analyze strategyexecutionlog")
        connection.execute(
            "create table bench_ready as select sum(jsonb_array_length(trace))::bigint as entries from "
            "strategyexecutionlog where jsonb_typeof(trace) = 'array'"
        )
        connection.execute("checkpoint")


def add_rows(connection: psycopg.Connection[Any], shape: Shape, first: int, last: int, since: date = FIRST_DAY) -> None:
    """Rows number ``first`` to ``last``; beyond ``shape.rows`` they fall on the days after the table's last."""
    with connection.transaction():
        connection.execute("set local timezone = 'UTC'")
        values = {
            "since": since,
            "days": shape.days,
            "rows": shape.rows,
            "realms": shape.realms,
            "even": shape.even,
            "distinct": shape.distinct,
            "strategies": shape.strategies,
            "structures": shape.structures,
            "variants": shape.variants,
            "first_row": first,
            "last_row": last,
        }
        connection.execute(_sql("fill"), values)


def _describe(url: str, shape: Shape) -> Table:
    with psycopg.connect(url) as connection:
        [(rows, size)] = connection.execute(
            "select count(*), pg_table_size('strategyexecutionlog') from strategyexecutionlog"
        ).fetchall()
        [(entries,)] = connection.execute("select entries from bench_ready").fetchall()
    until = FIRST_DAY + timedelta(days=shape.days)
    return Table(shape.name, url, rows, int(entries), FIRST_DAY, until, size / 1e6)


def small(shape: Shape, fraction: int = 10) -> Shape:
    """The same with a fraction of the rows."""
    return replace(shape, rows=max(shape.rows // fraction, 1))


def _sql(name: str) -> str:
    return (Path(HERE) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
