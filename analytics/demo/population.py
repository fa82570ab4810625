"""A population of runs whose truth is known: simulated once, kept in two files, loaded any number of times."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import psycopg
import pyarrow.parquet as pq
from psycopg import sql

from analytics.demo.catalog import Family, Version, utc
from analytics.demo.edge_cases import edge_cases
from analytics.demo.engine import COLUMNS, ChunkResult, log_line, simulate_chunk
from analytics.demo.families import FAMILIES
from analytics.demo.scenarios import SCENARIOS
from analytics.demo.traffic import TRUTH_SCHEMA, Chunk, plan
from analytics.source.connection import Connection
from analytics.sql import Row

if TYPE_CHECKING:
    import pandas as pd

_STEP = 1800
_NAME = "dsl_execution_duration_seconds_count"


def write_counters(truth: Path, target: Path) -> Path:
    """Write the counters of a population as text with timestamps, as ``promtool`` exports them.

    Args:
        truth: ``population.parquet``.
        target: A file that ends in ``.gz``.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(truth, columns=["created_at", "realm_id", "strategy_type", "status"]).to_pandas()
    with gzip.open(target, "wt", encoding="utf-8", newline="\n", compresslevel=5) as stream:
        stream.writelines(_lines(table))
    return target


def _lines(table: pd.DataFrame) -> Iterator[str]:
    import numpy as np
    import pandas as pd

    ends = table["created_at"].to_numpy("datetime64[s]").astype(np.int64)
    first = int(ends.min()) // _STEP * _STEP - _STEP
    times = np.arange(first, int(ends.max()) + 2 * _STEP, _STEP)
    yield f"process_start_time_seconds {first - 60} {first * 1000}\n"
    labels = pd.DataFrame(
        {
            # as the engine labels runs without a realm
            "realm": table["realm_id"].fillna("").replace("", "unknown"),
            "strategy_type": table["strategy_type"],
            "status": table["status"],
        }
    )
    for key, rows in labels.groupby(list(labels.columns)).groups.items():
        seen = np.searchsorted(np.sort(ends[rows]), times, side="left")
        quoted = ",".join(f'{name}="{_quoted(str(value))}"' for name, value in zip(labels.columns, key, strict=True))
        yield from (f"{_NAME}{{{quoted}}} {count} {time * 1000}\n" for count, time in zip(seen, times, strict=True))


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


RATE: Final = 0.05
SEED: Final = 20260708
UNTIL: Final = date(2026, 7, 11)
_TRUTH = "population.parquet"
_LOG = "log.copy"
#: Below this many runs, starting processes takes longer than the runs.
_WORTH_A_PROCESS: Final = 40_000


@dataclass(frozen=True, slots=True)
class Population:
    """Runs of a simulated engine.

    Attributes:
        directory: Where the two files are.
        runs: Number of runs, logged or not.
        days: Number of UTC days.
        until: First day after the last one.
        seed: Seed that makes them again.
        rate: Sampling rate of ok runs.
        logged: Rows that reached the log.
        failed: Failed runs, all of them logged.
        trace_entries: Entries in the logged traces, after the cut.
    """

    directory: Path
    runs: int
    days: int
    until: date
    seed: int
    rate: float
    logged: int
    failed: int
    trace_entries: int

    @property
    def truth_path(self) -> Path:
        """Every run, as Parquet; see `truth.TRUTH_SCHEMA`."""
        return self.directory / _TRUTH

    @property
    def log_path(self) -> Path:
        """The logged rows in commit order, in PostgreSQL's COPY text format."""
        return self.directory / _LOG

    def copy_blocks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """The log as blocks for COPY."""
        with self.log_path.open("rb") as stream:
            while block := stream.read(size):
                yield block


def simulate(
    *,
    runs: int = 240_000,
    days: int = 14,
    until: date = UNTIL,
    seed: int = SEED,
    rate: float = RATE,
    workers: int | None = None,
    directory: Path | None = None,
) -> Population:
    """Simulate an engine for some days.

    The result depends on everything but `workers`. Memory stays at a few chunks of at most some ten thousand runs.

    Args:
        runs: Runs in all; planted ones count.
        days: UTC days, the last of them the one before `until`.
        until: First day after the last one.
        seed: Same seed, same population.
        rate: An ok run is logged when a random number is below.
        workers: Processes; None takes as many as there are cores, up to four, or one when there is little to do.
            As with any such pool, a script that calls this keeps the call under ``if __name__ == "__main__"``.
        directory: Where to put the files; None takes a new temporary directory, which the caller removes.
    """
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="strategy-analytics-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    if workers is None:
        workers = min(4, os.cpu_count() or 1) if runs >= _WORTH_A_PROCESS else 1
    chunks = plan(runs=runs, days=days, until=until, seed=seed)
    counts = {"runs": 0, "logged": 0, "failed": 0, "entries": 0}
    waiting: list[tuple[int, str]] = []
    with (
        pq.ParquetWriter(directory / _TRUTH, TRUTH_SCHEMA, compression="zstd") as truth,
        (directory / _LOG).open("w", encoding="utf-8", newline="") as log,
    ):
        for result in _results(chunks, seed, rate, workers):
            truth.write_table(result.truth)
            counts["runs"] += len(result.truth)
            counts["failed"] += sum(status != "ok" for status in result.truth["status"].to_pylist())
            counts["logged"] += len(result.log)
            counts["entries"] += result.entries
            waiting = _write_committed(log, [*waiting, *result.log], _last_moment(result))
        _write_committed(log, waiting, None)
    return Population(
        directory, counts["runs"], days, until, seed, rate, counts["logged"], counts["failed"], counts["entries"]
    )


def _results(chunks: list[Chunk], seed: int, rate: float, workers: int) -> Iterator[ChunkResult]:
    work = partial(simulate_chunk, seed=seed, rate=rate)
    if workers <= 1:
        yield from map(work, chunks)
        return
    # Never a plain fork: a caller that has queried or read Parquet has threads, and a child forked beside them can crash.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        # A bounded number of chunks in flight, so that a slow consumer does not pile up results.
        ahead = [pool.submit(work, chunk) for chunk in chunks[: 2 * workers]]
        for chunk in chunks[2 * workers :]:
            yield ahead.pop(0).result()
            ahead.append(pool.submit(work, chunk))
        while ahead:
            yield ahead.pop(0).result()


def _last_moment(result: ChunkResult) -> int | None:
    return result.truth["created_at"][-1].value if len(result.truth) else None


def _write_committed(log: TextIO, rows: list[tuple[int, str]], until: int | None) -> list[tuple[int, str]]:
    """Write what was committed before a moment, in commit order; return what a later chunk may still overtake."""
    rows.sort()
    ready = [row for row in rows if until is None or row[0] < until]
    log.writelines(text for _, text in ready)
    return rows[len(ready) :]


def write_truth(population: Population, directory: Path) -> Path:
    """Put the truth under `directory/truth`: `population.parquet` and `stories.json`.

    Returns:
        The directory of the two files.
    """
    target = directory / "truth"
    target.mkdir(parents=True, exist_ok=True)
    path = target / _TRUTH
    if path.resolve() != population.truth_path.resolve():
        path.unlink(missing_ok=True)
        try:
            os.link(population.truth_path, path)  # the same bytes, without writing them twice
        except OSError:
            shutil.copyfile(population.truth_path, path)
    told = [asdict(scenario) for scenario in SCENARIOS]
    (target / "stories.json").write_text(json.dumps(told, ensure_ascii=False, indent=1, default=_iso), encoding="utf-8")
    return target


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


TABLES: Final = ("strategyexecutionlog", "strategydefinition")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load left in the server.

    Attributes:
        logged: Rows of the population.
        quirks: Odd rows beside them.
        definitions: Definition rows.
    """

    logged: int
    quirks: int
    definitions: int


def load(population: Population, url: str, *, recreate: bool = False, with_quirks: bool = True) -> Loaded:
    """Load a population, in one transaction.

    The heap's order is the order of the commits, so rows do not lie in order of created_at; the odd rows follow.
    Loading again replaces the rows.

    Args:
        population: What `simulate` returned.
        url: Connection URL of the server.
        recreate: Drop the tables first, as for one that an older demo made.
        with_quirks: Add the rows of `edge_cases`.
    """
    odd = edge_cases(population.until) if with_quirks else []
    definitions = definition_rows(population.until)
    with psycopg.connect(url) as connection:
        if recreate:
            for name in TABLES:
                connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(name)))
        quirks = (log_line(quirk.values).encode() for quirk in odd)
        fill_tables(connection, definitions, chain(population.copy_blocks(), quirks))
    return Loaded(population.logged, len(odd), len(definitions))


def create_tables(connection: Connection) -> None:
    """The engine's two tables, empty, where they are not there yet."""
    connection.execute(resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_bytes())


def fill_tables(connection: Connection, definitions: list[Row], log: Iterable[bytes]) -> None:
    """Have these rows in the engine's two tables, and no others.

    Args:
        connection: To the server; the tables are created where they are not there.
        definitions: Rows of `definition_rows`, at least one.
        log: Lines of COPY for the log table, cut into blocks anywhere.
    """
    create_tables(connection)
    connection.execute("truncate strategyexecutionlog, strategydefinition")
    _copy_definitions(connection, definitions)
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    statement = sql.SQL("copy strategyexecutionlog ({}) from stdin").format(names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in log:
            copy.write(block)
    connection.execute("analyze strategyexecutionlog, strategydefinition")


def _copy_definitions(connection: Connection, rows: list[Row]) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    statement = sql.SQL("copy strategydefinition ({}) from stdin").format(columns)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(list(row.values()))


def definition_rows(until: date, families: Iterable[Family] = FAMILIES) -> list[Row]:
    """The definition rows as the table holds them on the last day: `publishedAt` knows only the last publication.

    Args:
        until: First day after the last one.
        families: Whose; the demo's.
    """
    now = datetime(until.year, until.month, until.day, tzinfo=UTC)
    rows = []
    for family in families:
        if family.defined:
            # One id can be one row only: the other deployment's table keeps the newest version.
            versions = family.versions[-1:] if family.shared_id else family.versions
            rows += [_definition(family, version, now) for version in versions if not _in_future(version, now)]
    return rows


def _in_future(version: Version, now: datetime) -> bool:
    return version.since is not None and utc(version.since) >= now


def _definition(family: Family, version: Version, now: datetime) -> Row:
    live = [number for since, number in family.schedule() if since < now]
    published = [utc(text) for text in (version.since, version.back_at) if text and utc(text) < now]
    status = "DRAFT" if not published else "PUBLISHED" if live[-1] == version.number else "ARCHIVED"
    created = (min(published) if published else now) - timedelta(days=2, hours=3)
    return {
        "id": family.strategy_id(version.number),
        "created_at": created,
        "updated_at": max(published) if published else created,
        "apiKey_used": None,
        "oauth_user_id": "auth0|author",
        "realmId": family.realm,
        "name": family.name,
        "description": f"{family.name}, version {version.number}",
        "type": family.strategy_type,
        "parentStrategyId": family.parent_strategy_id(version.number),
        # The validator lets no program be stored without its type and its list of rules, empty as that may be.
        "astJson": json.dumps({"type": "program", "rules": [], **family.programs[version.number]}),
        "blocklyXml": "<xml/>",
        "version": version.number,
        "status": status,
        "createdBy": "author@example.org",
        "publishedAt": max(published) if published else None,
        "experimentTag": None,
    }
