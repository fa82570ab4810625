"""Shared by all tests: one simulated engine in one embedded PostgreSQL, and fresh databases on the same server."""

from __future__ import annotations

import atexit
import gc
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from analytics.demo import UNTIL, Demo, build
from analytics.demo.population import create_tables
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.model import ExtractResult
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.fixture_cache import FixtureCache, copy_folder, key, of_version
from tests.planted import world
from tests.planted.causes import CAUSES, LATER
from tests.planted.stories import Story
from tests.planted.world import Planted
from tests.simulated import DEFINITIONS, LOG, Row, insert, program_row, run_row

RATE = 0.05
DEMO_SIZE = {"demo_runs": 20_000, "demo_days": 4}
MEMORY = Path("/dev/shm")  # noqa: S108
"""A folder in memory: a server makes thousands of small files, and a lake syncs each of its own twice."""
ROOM = 4 << 30
"""Free bytes that it must have: all servers and lakes of a run need less."""
EMPTY = "empty_source"
"""A database with empty source tables on the demo's server: copying it is faster than creating them."""
LONGEST = (
    "test_object_store", "test_partials", "test_ended", "test_estimate", "test_hostile_report", "test_warehouse",
    "test_against", "test_erase", "test_runaway_stories", "test_runaway", "test_tenancy", "test_notebooks",
    "test_rehearsal_render", "test_extract", "test_planted", "test_rehearsal_page", "test_lake", "test_contradictions",
    "test_damaged", "test_cli", "test_proof", "test_summary", "test_replicas", "test_edits", "test_leak_gate",
    "test_verdicts", "test_report_run", "test_small_cells", "test_browser", "test_charts", "test_runaway_words",
    "test_odd_lakes", "test_benchmarks", "test_day_files", "test_post_mortem", "test_silences", "test_refusals",
    "test_counterfactual", "test_time_split", "test_showing", "test_runaway_advice", "test_what_if", "test_demo",
    "test_one_truth", "test_audit", "test_rehearsal", "test_intervals", "test_failing", "test_house", "test_storage",
    "test_incident", "test_significance", "test_lossless", "test_told_causes", "test_expire", "test_node_profile",
    "test_counters", "test_trials", "test_walk", "test_bounds", "test_forecast", "test_distribution",
)  # fmt: skip
"""Files that begin first, so that none of them is left for the end, when other processes have nothing more to do."""

_numbers = itertools.count(1)

# Where it is installed, jsonschema compiles the grammar of all addresses for a second; no notebook and no manifest has any.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--demo-runs", type=int, default=DEMO_SIZE["demo_runs"], help="runs of the simulated engine (20,000)"
    )
    parser.addoption("--demo-days", type=int, default=DEMO_SIZE["demo_days"], help="their days (4)")
    parser.addoption("--long", action="store_true", help="also what takes long: make prove has it")
    parser.addoption("--store", choices=("moto", "ceph"), default="moto", help="who answers as the bucket (moto)")
    parser.addoption("--spark-master", default="local-cluster[2,1,1024]", help="Spark's master (two executors here)")


def _has_room() -> bool:
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM


def pytest_configure(config: pytest.Config) -> None:
    """Folders of tests are in memory: on a disk a run waits for it some twenty thousand times. Whoever names another has that."""
    for plugin in ("tests.forked_reports", "tests.fewer"):  # no part of what the lakes of the cache are made by
        config.pluginmanager.import_plugin(plugin)
    if _has_room():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: each often waits, for its server or for what it has started."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long is left out of make test, which is for every commit; of the rest the longest files come first."""
    if not config.getoption("--long"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


def pytest_collection_finish() -> None:
    """What was imported by now stays for good: the collector of garbage need not look through it again and again.

    Nor so often through what comes later: compiled code and the models of a bucket's client are a million objects, too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 25, 50)


def pytest_unconfigure() -> None:
    """What nobody closed complains when it is collected: once is enough, and pytest's own five times have nothing to look through.

    What extensions hold is looked for at the end of the process, and they complain of what is still there.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


@pytest.fixture(scope="session")
def server_folders() -> Iterator[Callable[[], Path]]:
    """Makes folders for embedded servers, outside pytest's own.

    Run as root, the server works as another user; the next pytest on the machine takes that user's way into pytest's folder.
    """
    made: list[Path] = []
    place = MEMORY if _has_room() else None

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="strategy-analytics-", dir=place)))
        return made[-1]

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def fixture_cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FixtureCache:
    """What is made once for all workers: beside pytest's cache, or of this run alone for a demo of another size."""
    config = request.config
    if getattr(config, "cache", None) and all(config.getoption(name) == size for name, size in DEMO_SIZE.items()):
        return FixtureCache(of_version(config.cache.mkdir("fixtures"), key()))
    run = tmp_path_factory.getbasetemp()
    return FixtureCache((run.parent if hasattr(config, "workerinput") else run) / "fixtures")


@pytest.fixture(scope="session")
def _demo_folder(
    request: pytest.FixtureRequest, server_folders: Callable[[], Path], fixture_cache: FixtureCache
) -> Path:
    """A copy of the simulated engine, stopped, with an empty source to copy, and of the lake of its log.

    Both were made on one server, one after the other: transaction ids in the lake are of the server's past.
    """
    runs, days = request.config.getoption("--demo-runs"), request.config.getoption("--demo-days")

    def make(folder: Path) -> None:
        with build(server_folders() / "demo", runs=runs, days=days, rate=RATE) as demo:
            with psycopg.connect(demo.url, autocommit=True) as connection:
                connection.execute(f"create database {EMPTY}")
            with psycopg.connect(_in_database(demo.url, EMPTY)) as connection:
                create_tables(connection)
            lake = Lake(folder / "lake")
            first = UNTIL - timedelta(days=days + 1)
            # the odd rows at the epoch; the demo's days with one before and one after
            for since, until in (("1969-12-31", "1970-01-02"), (first, UNTIL + timedelta(days=1))):
                extract(demo.url, lake, Window.parse(since, until), rates=Rates((), RATE))
        copy_folder(demo.directory, folder / "demo")

    folder = server_folders() / "made"
    fixture_cache.copy("demo", make, folder)
    return folder


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest, _demo_folder: Path) -> Iterator[Demo]:
    """The simulated engine, odd rows included, on a server of this worker's own."""
    runs, days = request.config.getoption("--demo-runs"), request.config.getoption("--demo-days")
    with build(_demo_folder / "demo", runs=runs, days=days, rate=RATE) as found:
        yield found


@pytest.fixture(scope="session")
def database_url(demo: Demo) -> str:
    return demo.url


@pytest.fixture(scope="session")
def lake(_demo_folder: Path) -> Lake:
    """Everything the demo's log holds. Shared: read it, do not write to it."""
    return Lake(_demo_folder / "lake")


@pytest.fixture(scope="session")
def warehouse(lake: Lake) -> Warehouse:
    return Warehouse(lake)


@dataclass(frozen=True)
class Table:
    """A log table of one test, in a database of its own.

    Attributes:
        url: Of its database, as the owner.
        connection: Of ``at_once``; without it each statement has its own.
    """

    url: str
    connection: psycopg.Connection[Any] | None = field(default=None, repr=False)

    @contextmanager
    def at_once(self) -> Iterator[Table]:
        """For many rows: each is committed by itself all the same, but over one connection, which nobody sees afterwards."""
        with psycopg.connect(self.url) as connection:
            yield replace(self, connection=connection)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        if self.connection is None:
            with psycopg.connect(self.url) as connection:
                yield connection
        else:
            with self.connection.transaction():
                yield self.connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own; its rows, where it gives any."""
        with self._connected() as connection:
            cursor = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def insert(self, **columns: Any) -> str:
        """Commit one row of the log, see ``simulated.run_row``; its id."""
        return self.insert_all([run_row(**columns)])[0]

    def insert_all(self, rows: Iterable[Row]) -> list[str]:
        """Commit rows of the log that have the same columns, all at once; their ids."""
        return self._insert(LOG, rows)

    def define(self, ast: Any, **columns: Any) -> str:
        """Commit one program, see ``simulated.program_row``; its id."""
        return self._insert(DEFINITIONS, [program_row(ast, **columns)])[0]

    def _insert(self, table: str, rows: Iterable[Row]) -> list[str]:
        written = list(rows)
        with self._connected() as connection:
            insert(connection, table, written)
        return [str(row["id"]) for row in written]

    def as_role(self, role: str) -> str:
        """The database's URL for another role."""
        return self.url.replace("postgres@", f"{role}@", 1)

    def extract(
        self,
        lake: Lake,
        since: str = "2026-07-07",
        until: str = "2026-07-10",
        *,
        sample_rate: float = RATE,
        rates: Rates | None = None,
        **options: Any,
    ) -> ExtractResult:
        """One extraction of these days."""
        return extract(self.url, lake, Window.parse(since, until), rates=rates or Rates((), sample_rate), **options)


def _in_database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?", 1)


@pytest.fixture(scope="session")
def planted(
    request: pytest.FixtureRequest, fixture_cache: FixtureCache, tmp_path_factory: pytest.TempPathFactory
) -> Planted:
    """The planted stories, extracted. Shared: read it, do not write to it."""
    return _planted(request, fixture_cache, tmp_path_factory, "planted", world.STORIES)


@pytest.fixture(scope="session")
def caused(
    request: pytest.FixtureRequest, fixture_cache: FixtureCache, tmp_path_factory: pytest.TempPathFactory
) -> Planted:
    """The same of the stories with a cause: with ``--long`` of all of them."""
    if request.config.getoption("--long"):
        return _planted(request, fixture_cache, tmp_path_factory, "all_caused", CAUSES)
    always = [story for story in CAUSES if story.key not in LATER]
    return _planted(request, fixture_cache, tmp_path_factory, "caused", always)


def _planted(
    request: pytest.FixtureRequest,
    fixture_cache: FixtureCache,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    stories: Sequence[Story],
) -> Planted:
    def make(folder: Path) -> None:
        url: str = request.getfixturevalue("database_url")  # a server only for who makes it
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"create database {name}")
            world.build(_in_database(url, name), folder, stories=stories)
            connection.execute(f"drop database {name}")

    folder = tmp_path_factory.mktemp(name) / name
    fixture_cache.copy(name, make, folder)
    return world.read(folder, stories)


@pytest.fixture
def table(database_url: str) -> Iterator[Table]:
    """Empty source tables in a fresh database on the demo's server."""
    yield from _fresh_table(database_url)


@pytest.fixture(scope="module")
def module_table(database_url: str) -> Iterator[Table]:
    """The same, for all tests of a module."""
    yield from _fresh_table(database_url)


def _fresh_table(database_url: str) -> Iterator[Table]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {EMPTY} strategy file_copy")
        yield Table(_in_database(database_url, name))
        connection.execute(f"drop database {name} with (force)")


class Prepared:
    """A filled source and what was extracted of it, made once for the tests of a module that all begin with them.

    A copy of the database has the oid of the first, by which the copy of the lake knows it as its source.

    Args:
        server_url: Of the demo's server.
        folder: Keeps what was made.
        fill: Writes into the empty source and into a folder, as each test would have done.
    """

    def __init__(self, server_url: str, folder: Path, fill: Callable[[Table, Path], None]) -> None:
        self._server_url, self._folder = server_url, folder
        self._template = f"prepared_{next(_numbers)}"
        first = f"test_{next(_numbers)}"
        folder.mkdir()
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"create database {first} template {EMPTY} strategy file_copy")
            [(self._oid,)] = connection.execute("select oid from pg_database where datname = %s", [first]).fetchall()
            fill(Table(_in_database(server_url, first)), folder)
            connection.execute(f"create database {self._template} template {first} strategy file_copy")
            connection.execute(f"drop database {first} with (force)")

    @contextmanager
    def copy(self, to: Path) -> Iterator[Table]:
        """The source as it was filled, and a copy of the folder; one at a time.

        Args:
            to: Where the copy of the folder goes; must not exist yet.
        """
        name = f"test_{next(_numbers)}"
        copy_folder(self._folder, to)
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f"create database {name} template {self._template} oid {self._oid} strategy file_copy")
            yield Table(_in_database(self._server_url, name))
            connection.execute(f"drop database {name} with (force)")

    def drop(self) -> None:
        """Of the server."""
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(f"drop database {self._template}")


@pytest.fixture(scope="module")
def prepare(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Callable[[Table, Path], None]], Prepared]]:
    """Prepares a source, and a folder that holds a lake of it or several."""
    made: list[Prepared] = []

    def prepared(fill: Callable[[Table, Path], None]) -> Prepared:
        made.append(Prepared(database_url, tmp_path_factory.mktemp("prepared") / "folder", fill))
        return made[-1]

    yield prepared
    for one in made:
        one.drop()


@pytest.fixture
def role(table: Table) -> Iterator[str]:
    """A role that may log in and nothing else."""
    name = f"reader_{next(_numbers)}"
    table.execute(f"create role {name} login")
    yield name
    table.execute(f"drop owned by {name}")
    table.execute(f"drop role {name}")


@pytest.fixture
def fresh(tmp_path: Path) -> Lake:
    """A lake that does not exist yet."""
    return Lake(tmp_path / "lake")
