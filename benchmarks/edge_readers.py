"""Every way of reading, on the odd rows one by one, as it comes: no casts that a user would have to know of."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.child import explain
from benchmarks.edges import BARE_TIME
from benchmarks.extractors import COLUMNS, Work, connectorx_url, dlt_loader, duckdb_attached

Reader = Callable[[str], "list[dict[str, Any]]"]


def spell(value: Any) -> str | None:
    """A value as PostgreSQL would write it, where there is such a text."""
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "item"):  # of numpy
        value = value.item()
    if isinstance(value, datetime):
        if value.tzinfo:
            value = value.astimezone(UTC)
        text = f"{value:%Y-%m-%d %H:%M:%S}" + (f".{value.microsecond:06}".rstrip("0") if value.microsecond else "")
        return f"{text.rjust(19, '0')}+00"
    if isinstance(value, (list, dict)):
        return json.dumps(value)
    return str(value)


def _each(task: dict[str, Any], read: Reader) -> Work:
    """The named column of every odd row, each read with an ordinary row beside it.

    A query of its own, because one refused value must not hide the others; the ordinary row, because a column of one value
    may be given another type than a column of two.
    """
    ordinary = task["edges"][0][2]

    def work() -> dict[str, Any]:
        found: dict[str, dict[str, Any]] = {}
        for name, column, row_id in task["edges"]:
            try:
                rows = read(f"select {COLUMNS} from strategyexecutionlog where id in ('{ordinary}', '{row_id}')")
                chosen = [row for row in rows if str(row["id"]) == row_id]
                found[name] = {"value": spell(chosen[0][column])} if chosen else {}
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # a peer written in Rust panics with a class of its own
                found[name] = {"error": explain(error)}
        return {"edges": found}

    return work


def _cells(table: Any) -> list[dict[str, Any]]:
    """An Arrow table's rows; a time that Python cannot hold as its bare number."""
    import pyarrow as pa

    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns[name] = column.to_pylist()
        except (ValueError, OverflowError):
            columns[name] = [
                None if one is None else f"{BARE_TIME}{one}" for one in column.cast(pa.int64()).to_pylist()
            ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def ours(task: dict[str, Any]) -> Work:
    """The lake's rows; times and traces put together from the columns that hold them."""
    import pyarrow.parquet as pq

    from analytics import api
    from analytics.extraction.encode.trace_json import rebuild
    from analytics.lake import schema

    names = {column.source: column.lake for column in schema.EXECUTION_COLUMNS}

    def work() -> dict[str, Any]:
        lake = Path(task["folder"]) / "lake"
        api.extract(
            lake, since=task["since"], until=task["until"], database_url=task["url"], sample_rate=0.05, sample_rates=""
        )
        rows: dict[str, dict[str, Any]] = {}
        for path in lake.glob("executions/**/*.parquet"):
            for row in pq.ParquetFile(path).read().to_pylist():
                row["created_at"] = row["created_at_irregular"] or row["created_at"]
                row["trace"] = rebuild(row["trace"], row["trace_irregular"])
                rows[row["execution_id"]] = row
        return {
            "edges": {
                name: {"value": spell(rows[row_id][names[column]])} if row_id in rows else {}
                for name, column, row_id in task["edges"]
            }
        }

    return work


def pandas_read_sql(task: dict[str, Any]) -> Work:
    """``pandas.read_sql`` as it comes."""
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(task["url"]).set(drivername="postgresql+psycopg"), poolclass=sqlalchemy.pool.NullPool
    )

    def read(statement: str) -> list[dict[str, Any]]:
        with engine.connect() as connection:
            frame = pd.read_sql(sqlalchemy.text(statement), connection)
        # its mark for a missing text or time; among numbers it cannot be told from NaN
        marked = [name for name in frame if frame[name].dtype.kind != "f"]
        return [
            {name: None if name in marked and frame[name].isna()[number] else frame[name][number] for name in frame}
            for number in range(len(frame))
        ]

    return _each(task, read)


def adbc(task: dict[str, Any]) -> Work:
    """ADBC as it comes."""
    from adbc_driver_postgresql import dbapi

    def read(statement: str) -> list[dict[str, Any]]:
        with dbapi.connect(task["url"]) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return _cells(cursor.fetch_arrow_table())

    return _each(task, read)


def connectorx(task: dict[str, Any]) -> Work:
    """Read with connectorx as it comes."""
    import connectorx as cx

    url = connectorx_url(task["url"])
    return _each(task, lambda statement: _cells(cx.read_sql(url, statement, return_type="arrow")))


def dlt_connectorx(task: dict[str, Any]) -> Work:
    """Read with dlt and its connectorx backend; its own names for the columns are turned back."""
    import pyarrow.parquet as pq

    from analytics.lake import schema

    load = dlt_loader(Path(task["folder"]), "connectorx")
    names = {column.source.lower(): column.source for column in schema.EXECUTION_COLUMNS}

    def read(statement: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in load(task["url"], statement):
            table = pq.ParquetFile(path).read()
            rows += _cells(
                table.rename_columns([names.get(n.replace("_", ""), names.get(n, n)) for n in table.column_names])
            )
        return rows

    return _each(task, read)


def duckdb_postgres(task: dict[str, Any]) -> Work:
    """DuckDB's postgres extension, where it is installed."""
    connection = duckdb_attached(task["url"])

    def read(statement: str) -> list[dict[str, Any]]:
        attached = statement.replace("strategyexecutionlog", "source.strategyexecutionlog")
        return _cells(connection.sql(attached).to_arrow_table())

    return _each(task, read)
