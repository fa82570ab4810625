"""The source: log tables in a database of their own, whose state is known partition by partition at any moment."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from analytics.demo.population import create_tables

Place = tuple[str | None, str | None]
"""Realm and day of a partition."""

FIRST = date(2026, 7, 7)
DAYS = 3
SINCE, UNTIL = FIRST.isoformat(), (FIRST + timedelta(days=DAYS)).isoformat()
REALMS: tuple[str | None, ...] = ("acme", "Bärchen & Söhne/Nord", None)
_numbers = itertools.count(1)


class State(NamedTuple):
    """What can be seen of a partition from outside: its rows, their versions, the entries of their traces.

    Every change of a row raises its ``strategyVersion``, so two states differ whenever a row does.
    """

    rows: int
    ids: int
    versions: int
    entries: int
    entry_versions: int


class Origin:
    """One log table.

    Args:
        server: URL of the server's database ``postgres``.
        random_numbers: Where its rows come from.
        rows: At the beginning.
    """

    def __init__(self, server: str, random_numbers: random.Random, rows: int) -> None:
        name = f"proof_{next(_numbers)}_{uuid.uuid4().hex[:8]}"
        self.server, self.name, self.random = server, name, random_numbers
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"create database {name} template {_template(server)}")
        self.url = server.replace("/postgres?", f"/{name}?", 1)
        self._connection: psycopg.Connection[Any] | None = None
        self.history: dict[Place, list[State | None]] = {}
        self._confirmed: dict[Place, int] = {}
        self.define()
        if rows:
            self.add(rows)

    def drop(self) -> None:
        """Remove the database."""
        self.disconnect()
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"drop database if exists {self.name} with (force)")

    def disconnect(self) -> None:
        """Forget the connection, for instance because the server is about to go."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def execute(self, statement: str, values: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """One statement, committed."""
        if self._connection is None or self._connection.closed:
            # The server may be killed at any moment, and must know then what it has confirmed.
            self._connection = psycopg.connect(self.url, autocommit=True, options="-c synchronous_commit=on")
        cursor = self._connection.execute(statement, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection of its own, for a writer that takes its time; the caller commits."""
        with psycopg.connect(self.url) as connection:
            yield connection

    # ---- changes ---------------------------------------------------------------------------------------------------

    def add(
        self,
        count: int,
        *,
        realm: Any = ...,
        day: date | None = None,
        into: psycopg.Connection[Any] | None = None,
        padding: int = 0,
        key: str | None = None,
    ) -> None:
        """Commit new rows, or leave that to the transaction ``into``; ``key`` is the id of a single one."""
        rows = [self._row(realm, day, padding) for _ in range(count)]
        if key is not None:
            rows = [(key, *row[1:]) for row in rows]
        text = """insert into strategyexecutionlog (id, created_at, updated_at, "realmId", "strategyId", "strategyVersion",
                         "strategyType", status, points, "caseName", "durationMs", "nodesExecuted", trace, sampled, notes)
                  select id, made, made, realm, strategy, 1, 'DSL_FULL', status, points, name, 1.5, 0, trace::jsonb,
                         status = 'ok', notes
                    from unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::numeric[],
                                %s::text[], %s::text[], %s::text[])
                      as t (id, made, realm, strategy, status, points, name, trace, notes)"""
        values = [list(column) for column in zip(*rows, strict=True)]
        if into is not None:
            into.execute(text, values)  # type: ignore[arg-type]
        else:
            self.execute(text, values)

    def update(self, count: int) -> None:
        """Change some rows where they are."""
        self.execute(
            'update strategyexecutionlog set points = points + 1, "strategyVersion" = "strategyVersion" + 1 where id in '
            "(select id from strategyexecutionlog order by md5(id::text || %s) limit %s)",
            [str(self.random.random()), count],
        )

    def move(self, count: int) -> None:
        """Give some rows another realm or day."""
        realm, day = self._place(..., None)
        self.execute(
            'update strategyexecutionlog set "realmId" = %s, created_at = %s, "strategyVersion" = "strategyVersion" + 1 '
            "where id in (select id from strategyexecutionlog order by md5(id::text || %s) limit %s)",
            [realm, datetime(day.year, day.month, day.day, 12, tzinfo=UTC), str(self.random.random()), count],
        )

    def delete(self, count: int) -> list[str]:
        """Delete some rows; their ids."""
        return [
            str(row[0])
            for row in self.execute(
                "delete from strategyexecutionlog where id in "
                "(select id from strategyexecutionlog order by md5(id::text || %s) limit %s) returning id",
                [str(self.random.random()), count],
            )
        ]

    def define(self) -> None:
        """Publish one more version of a strategy."""
        program = {
            "type": "program",
            "rules": [{"id": "r1", "type": "rule", "when": {"type": "literal", "value": True}}],
        }
        self.execute(
            """insert into strategydefinition (id, "realmId", name, type, "astJson", version, status)
               select gen_random_uuid(), 'acme', 'Speed bonus', 'DSL_FULL', %s::jsonb, count(*) + 1, 'PUBLISHED'
                 from strategydefinition""",
            [json.dumps(program)],
        )

    def stir(self) -> None:
        """A little of everything that leaves no row behind: new rows late and early, changed ones, moved ones."""
        self.add(self.random.randint(1, 6))
        if self.random.random() < 0.5:
            self.update(self.random.randint(1, 3))
        if self.random.random() < 0.2:
            self.move(1)
        if self.random.random() < 0.2:
            self.define()

    # ---- what is there ---------------------------------------------------------------------------------------------

    def states(self) -> dict[Place, State]:
        """Every partition as it is now."""
        found = self.execute(
            """select "realmId", (created_at at time zone 'UTC')::date::text, count(*),
                      sum(('x' || substr(id::text, 1, 8))::bit(32)::bigint)::bigint, sum("strategyVersion")::bigint,
                      sum(length)::bigint, sum(length * "strategyVersion")::bigint
                 from strategyexecutionlog, lateral (
                      select case when jsonb_typeof(trace) = 'array' then jsonb_array_length(trace) else 0 end) as l(length)
                group by 1, 2"""
        )
        return {(realm, day): State(*map(int, numbers)) for realm, day, *numbers in found}

    def note(self) -> None:
        """Remember the state that the next run will find: a reader may see it, or one noted before, and no other."""
        now = self.states()
        for place in {*self.history, *now}:
            known = self.history.setdefault(place, [None])
            if known[-1] != now.get(place):
                known.append(now.get(place))

    def confirm(self) -> None:
        """The lake was found equal to the source: nothing older may be seen from now on."""
        self.note()
        self._confirmed = {place: len(known) - 1 for place, known in self.history.items()}

    def recent(self) -> dict[Place, list[State | None]]:
        """The states a reader may see now."""
        return {place: known[self._confirmed.get(place, 0) :] for place, known in self.history.items()}

    def forget(self) -> None:
        """Another lake begins."""
        self.history.clear()
        self._confirmed.clear()

    def _place(self, realm: Any, day: date | None) -> tuple[str | None, date]:
        return (
            self.random.choice(REALMS) if realm is ... else realm,
            day or FIRST + timedelta(days=self.random.randrange(DAYS)),
        )

    def _row(self, realm: Any, day: date | None, padding: int) -> tuple[Any, ...]:
        numbers = self.random
        realm, day = self._place(realm, day)
        made = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
            microseconds=numbers.randrange(86_400_000_000)
        )
        status = numbers.choice(["ok"] * 8 + ["error", "timeout"])
        trace = [self._entry(number) for number in range(numbers.randrange(8))] if status == "ok" else None
        return (
            str(uuid.UUID(int=numbers.getrandbits(128), version=4)),
            made,
            realm,
            f"s{numbers.randrange(3)}",
            status,
            numbers.randrange(1_000) if status == "ok" else None,
            numbers.choice(["Case", "", "två\nrader", None]),
            json.dumps(trace),
            "n" * padding or None,
        )

    def _entry(self, number: int) -> dict[str, Any]:
        values = [True, False, None, 1, "1", 1.5, 10**30, "🎈\u0001", [1, {"type": "x"}], {"b": 1, "a": []}, -0.25, ""]
        entry = {"nodeId": f"n{number % 5}", "type": "literal", "value": self.random.choice(values)}
        return {**entry, "branch": "match"} if number % 3 == 0 else entry


def _template(server: str) -> str:
    name = "proof_template"
    with psycopg.connect(server, autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", [name]).fetchone() is not None:
            return name
        connection.execute(f"create database {name}")
    with psycopg.connect(server.replace("/postgres?", f"/{name}?", 1)) as connection:
        create_tables(connection)
    return name
