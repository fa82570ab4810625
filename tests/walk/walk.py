"""A random walk of a source, and a lake that follows it: after each run every id stands once, and where it should.

    python -m tests.walk --seeds 20 --steps 60

The source's rows are inserted, updated, moved between tenants and days, deleted and reloaded with the ids they had; windows,
tenants and options of the runs change, and some runs are killed at a random place. What has to hold is kept in a book of its own.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from analytics.demo.population import create_tables
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.simulated import LOG, insert, run_row

DAYS = tuple(f"2026-07-{day:02}" for day in range(1, 7))
REALMS = ("acme", "birch", None)
_ELSE = {
    "externalUserId": None,
    "caseName": None,
    "durationMs": 1,
    "trace": '[{"nodeId": "n", "type": "literal", "value": 1}]',
}

Place = tuple[str | None, str | None]
"""Realm and day; a row without a time has no day."""


class WalkError(AssertionError):
    """What has to hold did not."""


class KilledError(Exception):
    """Stands for a kill: nothing of the run's own clears up after it."""


@dataclass
class Walk:
    """A source and its lake.

    Attributes:
        url: Of a database with an empty log table.
        lake: The lake that follows it.
        random: Decides everything.
        source: Every row: where it is, and its points.
        lost: Ids that the lake had and the source has deleted: they must stay.
        dropped: Ids that may have gone with the source.
        steps: What was done, for a message.
    """

    url: str
    lake: Lake
    random: random.Random
    source: dict[str, tuple[Place, int]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    steps: list[str] = field(default_factory=list)

    def run(self, count: int) -> None:
        """Take some steps, each a change of the source and a run."""
        for _ in range(count):
            for _ in range(self.random.randrange(1, 4)):
                self.random.choice((self._insert, self._insert, self._update, self._move, self._delete, self._reload))()
            self._extract()

    # ---- the source ------------------------------------------------------------------------------------------------

    def _execute(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement, values)  # type: ignore[arg-type]

    def _place(self) -> Place:
        return self.random.choice(REALMS), self.random.choice((*DAYS, *DAYS, None))

    def _put(self, execution_id: str) -> None:
        (realm, day), points = self._place(), self.random.randrange(1000)
        moment = {"created_at": _time(day), "updated_at": datetime.now(UTC)}
        row = run_row(id=execution_id, **moment, realmId=realm, points=points, **_ELSE)
        with psycopg.connect(self.url) as connection:
            insert(connection, LOG, [row])
        self.source[execution_id] = ((realm, day), points)
        self.steps.append(f"insert {execution_id[:8]} at {realm} {day}")

    def _insert(self) -> None:
        for _ in range(self.random.randrange(1, 5)):
            self._put(str(uuid.UUID(int=self.random.getrandbits(128), version=4)))

    def _some(self, least: int = 1) -> list[str]:
        return self.random.sample(sorted(self.source), min(len(self.source), self.random.randrange(least, least + 3)))

    def _update(self) -> None:
        for execution_id in self._some():
            place, points = self.source[execution_id][0], self.random.randrange(1000)
            self._execute("update strategyexecutionlog set points = %s where id = %s", points, execution_id)
            self.source[execution_id] = (place, points)

    def _move(self) -> None:
        for execution_id in self._some():
            realm, day = self._place()
            self._execute(
                'update strategyexecutionlog set "realmId" = %s, created_at = %s where id = %s',
                realm,
                _time(day),
                execution_id,
            )
            self.source[execution_id] = ((realm, day), self.source[execution_id][1])
            self.steps.append(f"move {execution_id[:8]} to {realm} {day}")

    def _delete(self) -> None:
        for execution_id in self._some():
            self._execute("delete from strategyexecutionlog where id = %s", execution_id)
            del self.source[execution_id]
            self.steps.append(f"delete {execution_id[:8]}")

    def _reload(self) -> None:
        """Rows that were deleted come back, with the ids they had, anywhere."""
        gone = sorted((self.lost | self.dropped) - set(self.source))
        for execution_id in self.random.sample(gone, min(len(gone), 2)):
            self._put(execution_id)

    # ---- the lake --------------------------------------------------------------------------------------------------

    def _extract(self) -> None:
        first = self.random.randrange(len(DAYS))
        last = self.random.randrange(first, min(len(DAYS), first + 3))
        known = sorted({place[0] for place, _ in self.source.values()} | {None}, key=str)  # others are refused
        realms = self.random.choice(((), (), (), (self.random.choice(known),)))
        options = {
            "realms": realms,
            "jobs": self.random.choice((1, 1, 2)),
            "force": self.random.random() < 0.1,
            "allow_shrink": self.random.random() < 0.1,
        }
        window = Window.parse(DAYS[first], f"2026-07-{last + 2:02}")
        self.steps.append(f"extract {window} {options}")
        before = set(self._lake_rows())
        if self.random.random() < 0.25:
            with _killed(self.random.randrange(1, 8)):
                try:
                    extract(self.url, self.lake, window, rates=Rates((), 0.5), **options)
                except KilledError:
                    self.steps.append("killed")
            before |= set(self._lake_rows(after_kill=True))
        extract(self.url, self.lake, window, rates=Rates((), 0.5), **options)
        scope = {(realm, day) for realm in (realms or REALMS) for day in (*DAYS[first : last + 1], None)}
        self._judge(scope, before, shrinks=bool(options["allow_shrink"]))

    def _lake_rows(self, *, after_kill: bool = False) -> dict[str, tuple[Place, int]]:
        if not (self.lake.root / "executions").is_dir():
            return {}
        rows = (
            Warehouse(self.lake).sql("select execution_id, realm_id, day::varchar, points from executions").fetchall()
        )
        twice = [key for key, times in Counter(row[0] for row in rows).items() if times > 1]
        if twice and not after_kill:  # of a killed run the next one clears up
            where = [row for row in rows if row[0] in twice]
            self._fail(f"{len(twice)} runs stand twice: {where[:4]}")
        return {key: ((realm, day), int(points)) for key, realm, day, points in rows}

    def _judge(self, scope: set[Place], before: set[str], *, shrinks: bool) -> None:
        rows = self._lake_rows()
        here = {key: row for key, row in self.source.items() if row[0] in scope}
        if wrong := [key for key, row in here.items() if rows.get(key) != row]:
            self._fail(f"{wrong[0]} is {rows.get(wrong[0])} and should be {here[wrong[0]]}")
        if moved := [key for key, row in rows.items() if row[0] in scope and key in self.source and key not in here]:
            # A partition that has not changed since it lost the row is not read: the row is kept until its new day is.
            self.lost |= set(moved)
        gone = {key for key in before if key not in rows and key not in self.source}
        if gone and not shrinks:
            self._fail(f"{sorted(gone)[:3]} were deleted at the source and are not kept")
        self.dropped |= gone
        self.lost = {key for key in rows if key not in self.source}
        failed = [check for check in Warehouse(self.lake).check() if check.severity == "error" and not check.passed]
        if failed:
            self._fail(f"check {failed[0].name} fails: {failed[0].example}")

    def _fail(self, message: str) -> None:
        raise WalkError("\n".join([message, "after:", *self.steps[-25:]]))


def _time(day: str | None) -> str | None:
    return f"{day} 12:00:00+00" if day else None


@contextmanager
def _killed(number: int) -> Iterator[None]:
    """The lake's files can be changed so many times, and then no more."""
    left = [number]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            return real(*args, **options)

        return call

    real = Lake.replace, Lake.remove
    Lake.replace, Lake.remove = map(counted, real)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Lake.replace, Lake.remove = real  # type: ignore[method-assign]


def walk(url: str, root: Path, seed: int, steps: int) -> None:
    """One walk in an empty table and lake.

    Raises:
        WalkError: What has to hold did not.
    """
    with psycopg.connect(url) as connection:
        create_tables(connection)
        connection.execute("truncate strategyexecutionlog")
    Walk(url, Lake(root), random.Random(seed)).run(steps)
