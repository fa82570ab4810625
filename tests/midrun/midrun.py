"""A matrix: every change of the source at every moment of an extraction.

    python -m tests.midrun

Whatever happens, the lake is then the source of one instant, or the run is refused in a sentence, each partition of the lake is one
that there was, and when the change is undone or accepted the next run makes the lake equal to the source. Rows and programs are
read by statements of this module's own.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg

from analytics.demo.population import create_tables
from analytics.errors import AnalyticsError
from analytics.estimates.sampling_rates import Rates
from analytics.extraction import job
from analytics.lake import definitions
from analytics.lake.lake import Lake
from analytics.source import connection as connect
from analytics.source import connection as server_connection
from analytics.source import copy_stream, source
from analytics.source.source import Source
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.midrun.changes import DEFINITIONS, LOG, Change

Rows = dict[str, tuple[Any, ...]]
WINDOW = Window.parse("2026-07-01", "2026-07-10")
DAYS = ("2026-07-01", "2026-07-02", "2026-07-05", "2026-07-09")
PATIENCE = 40.0
"""Seconds within which a run has ended, and what waited for it."""
_PATIENT = "-c idle_session_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
_numbers = itertools.count(1)
_ROWS = f"""select id::text, "realmId", (created_at at time zone 'UTC')::date::text, points::float8, "caseName", status, notes,
                   "strategyVersion"::int from {LOG}"""
_LAKE = """select execution_id, realm_id, day::varchar, points, case_name, status, notes, strategy_version from executions"""
_FILL = f"""
insert into {LOG} (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId", status, points,
                   "caseName", "durationMs", "nodesExecuted", trace, sampled, notes)
select gen_random_uuid(), day::timestamptz + n * interval '1 minute', now(), 's1', 1, 'DSL_FULL', realm, 'ok', n, repeat('c', 300),
       1, 1, '[{{"nodeId": "n", "type": "literal", "value": 1}}]', true, 'note'
  from unnest(array['2026-07-01 12:00+00', '2026-07-02 12:00+00', '2026-07-05 12:00+00', '2026-07-09 12:00+00']) as day,
       unnest(array['acme', 'birch', null]) as realm,
       generate_series(1, 8) as n;
insert into {DEFINITIONS} (id, "realmId", name, description, type, "astJson", version, status)
select gen_random_uuid(), 'acme', 'f' || n, 'old', 'DSL_FULL', '{{"type": "program", "rules": []}}', 1, 'PUBLISHED'
  from generate_series(1, 3) as n;
"""
_GOES_ON = f"""
update {LOG} set points = points + 100 where points in (1, 2);
delete from {LOG} where points = 3;
insert into {LOG} select (jsonb_populate_record(l, jsonb_build_object('id', gen_random_uuid()))).* from {LOG} l where points = 5;
update {DEFINITIONS} set description = 'newer' where name = 'f1';
"""


class BrokenError(AssertionError):
    """What has to hold did not."""


@dataclass(frozen=True)
class Moment:
    """A moment of a run.

    Attributes:
        name: In words.
        where: Object and name of a function.
        after: Behind its end rather than before its beginning.
        number: Which call of it.
        jobs: Connections that the run reads with.
    """

    name: str
    where: tuple[Any, str]
    after: bool = False
    number: int = 1
    jobs: int = 1


MOMENTS = (
    Moment("before it connects", (source, "connect")),
    Moment("before the snapshot", (source, "read_watermark"), after=True),
    Moment("behind the snapshot", (connect.Session, "begin"), after=True, number=2),
    Moment("before the tables are locked", (source, "check_log_table"), after=True),
    Moment("when the tables are locked", (Source, "identity")),
    Moment("before the programs are read", (Source, "definitions")),
    Moment("between the programs' columns and rows", (source, "select_definitions")),
    Moment("before the fingerprints", (Source, "fingerprints")),
    Moment("behind the fingerprints", (Source, "fingerprints"), after=True),
    Moment("behind the plan", (job, "compare"), after=True),
    Moment("before the first COPY", (Source, "executions")),
    Moment("in the middle of a COPY", (copy_stream, "_next"), after=True, number=4),
    Moment("before the next COPY", (Source, "executions"), number=2),
    Moment("before it is asked what still exists", (Source, "existing")),
    Moment("before the ledger is written", (Lake, "record")),
    Moment("between two partitions", (Lake, "replace"), after=True, number=2),
    Moment("before the programs are written", (definitions, "write")),
    Moment("between two jobs", (Source, "sibling"), after=True, jobs=2),
    Moment("while two jobs read", (copy_stream, "_next"), after=True, number=4, jobs=2),
)


@dataclass
class Cell:
    """One change at one moment.

    Attributes:
        server: URL of a server, as its owner.
        template: Database to begin with.
        folder: For a lake.
        change, moment: Which.
        shrinks: The run follows the source where it has lost rows.
        seconds: The longest of its runs.
        outcome: How the run ended, in words.
        waited: What the change waited for the run, seconds; 0 where it did not.
    """

    server: str
    template: str
    folder: Path
    change: Change
    moment: Moment
    shrinks: bool = False
    seconds: float = 0.0
    outcome: str = ""
    waited: float = 0.0
    _worker: threading.Thread | None = field(default=None, init=False)
    _failed: list[str] = field(default_factory=list, init=False)

    def run(self) -> None:
        """Play it.

        Raises:
            BrokenError: What has to hold did not.
        """
        number = next(_numbers)
        self.database, self.role = f"cell_{number}", f"reader_{number}"
        self.url = self.server.replace("/postgres?", f"/{self.database}?", 1)
        self._as_owner(f"create database {self.database} template {self.template} strategy file_copy", away=True)
        self._as_owner(f"create role {self.role} login in role midrun_reader", away=True)
        self.lake = Lake(self.folder / f"lake-{number}")
        try:
            with (
                mock.patch.object(server_connection, "FIRST_PAUSE", 0.05),
                mock.patch.object(copy_stream, "BLOCK_BYTES", 2_000),
            ):
                self._play()
        except psycopg.Error as error:
            self._fail(f"a statement of this test: {error}")
        finally:
            self._as_owner(f"drop database if exists {self.database} with (force)", away=True)
            self._as_owner(f"drop role if exists {self.role}", away=True)

    def _play(self) -> None:
        for statement in self.change.before:
            self._as_owner(statement)
        self._extract()
        before, programs_before = self._lake_rows(), self._lake_programs()
        self._as_owner(_GOES_ON)
        states, programs = [self._source_rows()], [programs_before, self._source_programs()]
        with (
            self._watched(),
            mock.patch.object(
                connect, "SESSION", connect.SESSION.replace("lock_timeout = '20s'", "lock_timeout = '300ms'")
            ),
        ):
            refusal = self._extract(may_fail=True)
        if self._worker:
            self._worker.join(PATIENCE)
            if self._worker.is_alive():
                self._fail("the change still waits for a run that has ended")
        self.outcome = refusal or ("the moment did not come" if self._worker is None else "done")
        if self._worker is None:
            return
        states.append(self._source_rows())
        programs.append(self._source_programs())
        rows = self._lake_rows()
        if refusal:
            self._each_partition_is_whole(rows, [before, *states])
        elif not any(self._is(rows, state, before, states[0]) for state in states):
            self._fail(self._differences(rows, states))
        if (found := self._lake_programs()) not in [one for one in programs if one is not None]:
            self._fail(f"the lake's programs are {found}, and not one of {programs}")
        self._checks()
        for statement in self.change.undo:
            self._as_owner(statement, away="{database}" in statement)
        before = rows
        self._extract()
        now, rows = self._source_rows(), self._lake_rows()
        if now is None or not self._is(rows, now, before, states[0]):
            self._fail(f"after a further run: {self._differences(rows, [now])}")
        self._checks()

    # ---- the run ---------------------------------------------------------------------------------------------------

    def _extract(self, *, may_fail: bool = False) -> str:
        start = time.monotonic()
        url = self.url.replace("postgres@", f"{self.role}@", 1)
        options = {"jobs": self.moment.jobs, "allow_shrink": self.shrinks, "retries": 2}
        try:
            extract(url, self.lake, WINDOW, rates=Rates((), 0.5), **options)  # type: ignore[arg-type]
        except AnalyticsError as error:
            if not may_fail:
                self._fail(f"a run that has to succeed: {error}")
            if error.exit_code not in (2, 3) or "\n" in error.message or "is aborted" in error.message:
                self._fail(f"no sentence: {error.exit_code} {error.message}")
            return f"{type(error).__name__}: {error}"
        except Exception as error:
            raise BrokenError(f"{self}: no sentence but {type(error).__name__}: {error}") from error
        finally:
            self.seconds = max(self.seconds, time.monotonic() - start)
            if self.seconds > PATIENCE:
                self._fail(f"a run took {self.seconds:.0f} s")
        return ""

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Have the change happen at the moment, once."""
        holder, name = self.moment.where
        real, calls, mutex = getattr(holder, name), [0], threading.Lock()

        def watched(*args: Any, **options: Any) -> Any:
            with mutex:
                calls[0] += 1
                is_now = calls[0] == self.moment.number and self._worker is None
            if is_now and not self.moment.after:
                self._happen()
            result = real(*args, **options)
            if is_now and self.moment.after:
                self._happen()
            return result

        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(holder, name, watched))
            yield

    def _happen(self) -> None:
        def work() -> None:
            start = time.monotonic()
            try:
                if self.change.apart:
                    for statement in self.change.does:
                        self._as_owner(statement, away="{database}" in statement)
                else:
                    self._as_owner(*self.change.does)
            except psycopg.Error as error:
                self._failed.append(str(error))
            self.waited = time.monotonic() - start

        self._worker = threading.Thread(target=work, daemon=True)
        self._worker.start()
        self._worker.join(0.15)  # what needs the table for itself waits until the run ends

    # ---- what is there ---------------------------------------------------------------------------------------------

    def _as_owner(self, *statements: str, away: bool = False) -> None:
        url = self.server if away else self.url
        with psycopg.connect(url, autocommit=len(statements) == 1, options=_PATIENT) as connection:
            for statement in statements:
                text = statement.replace("{role}", self.role).replace("{database}", self.database)
                connection.execute(text)  # type: ignore[call-overload]

    def _source(self, statement: str) -> list[tuple[Any, ...]] | None:
        try:
            with psycopg.connect(self.url, options=_PATIENT) as connection:
                return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]
        except psycopg.Error:
            return None  # as it is now, nobody can read it

    def _source_rows(self) -> Rows | None:
        found = self._source(_ROWS)
        return None if found is None else {key: tuple(row) for key, *row in found}

    def _source_programs(self) -> list[tuple[Any, ...]] | None:
        return self._source(f"select name, description from {DEFINITIONS} order by 1")

    def _lake_rows(self) -> Rows:
        found = Warehouse(self.lake).sql(_LAKE).fetchall()
        if len({row[0] for row in found}) != len(found):
            self._fail("a run stands twice in the lake")
        return {key: tuple(row) for key, *row in found}

    def _lake_programs(self) -> list[tuple[Any, ...]]:
        query = "select family_name, description from definitions where not is_deleted order by 1"
        return Warehouse(self.lake).sql(query).fetchall()

    # ---- what has to hold ------------------------------------------------------------------------------------------

    def _is(self, rows: Rows, state: Rows | None, before: Rows, first: Rows | None) -> bool:
        """The lake is the source of one instant, with what it had before where that is kept."""
        if state is None or any(rows.get(key) != row for key, row in state.items()):
            return False
        more = rows.keys() - state.keys()
        if self.shrinks:
            return not more
        return before.keys() <= rows.keys() and all(
            rows[key] in (before.get(key), (first or {}).get(key)) for key in more
        )

    def _each_partition_is_whole(self, rows: Rows, states: list[Rows | None]) -> None:
        def places(found: Rows | None) -> dict[tuple[Any, ...], Rows]:
            parts: dict[tuple[Any, ...], Rows] = {}
            for key, row in (found or {}).items():
                parts.setdefault(row[:2], {})[key] = row
            return parts

        known = [places(state) for state in states]
        for place, part in places(rows).items():
            for state in known:
                there = state.get(place, {})
                more = {key: row for key, row in part.items() if key not in there}
                if there.items() <= part.items() and all(
                    known[0].get(place, {}).get(key) == row for key, row in more.items()
                ):
                    break
            else:
                self._fail(f"{place} is none of what it was: {len(part)} rows")
        if not self.shrinks and (lost := (states[0] or {}).keys() - rows.keys()):
            self._fail(f"{len(lost)} rows of the lake are gone though the run was refused")

    def _differences(self, rows: Rows, states: list[Rows | None]) -> str:
        return "the lake is the source of no instant: " + "; ".join(
            "not readable" if state is None else
            f"{sum(rows.get(key) != row for key, row in state.items())} of {len(state)} rows are others, "
            f"{len(rows.keys() - state.keys())} are more" for state in states
        )  # fmt: skip

    def _checks(self) -> None:
        failed = [check for check in Warehouse(self.lake).check() if check.severity == "error" and not check.passed]
        if failed:
            self._fail(f"check {failed[0].name} fails: {failed[0].example}")

    def _fail(self, message: str) -> None:
        raise BrokenError(f"{self}: {message} {' '.join(self._failed)} [{self.outcome}]")

    def __str__(self) -> str:
        return f"{self.change.name}, {self.moment.name}{', --allow-shrink' * self.shrinks}"


def make_template(server: str) -> str:
    """A database to begin with, and the role that reads; its name."""
    name = "midrun"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")  # type: ignore[call-overload]
    with psycopg.connect(server.replace("/postgres?", f"/{name}?", 1)) as connection:
        create_tables(connection)
        connection.execute("create role midrun_reader")
        connection.execute("grant pg_read_all_stats to midrun_reader")
        connection.execute(f"grant select on {LOG}, {DEFINITIONS} to midrun_reader")
        connection.execute(_FILL)  # type: ignore[call-overload]
    return name
