"""A simulated engine's log that arrives hour by hour, some of it late, and what befalls the server that holds it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg

from analytics import demo
from analytics.demo.population import create_tables

LOG, ARCHIVE = "strategyexecutionlog", "arriving"

_ARRIVES = """
create table arriving as
select *, date_trunc('hour', created_at) + case when abs(hashtext(id::text)) % 50 = 0
    then interval '1 hour' * (1 + abs(hashtext(id::text)) / 50 % 30) else interval '0' end as arrives
from strategyexecutionlog where created_at is not null
"""
"""One row in fifty is up to thirty hours late."""

Row = tuple[str | None, str, float | None]
"""Realm, day and points of a row."""


@dataclass
class Source:
    """The server's log as far as it has arrived.

    Attributes:
        url: Of the server.
        columns: Of the log table, as the engine made it.
        events: What befell it, in words.
    """

    url: str
    columns: str = ""
    events: list[str] = field(default_factory=list)

    def begin(self, population: demo.Population) -> None:
        """Keep a population aside, and begin with an empty log."""
        demo.load(population, self.url, with_quirks=False)
        with psycopg.connect(self.url) as connection:
            names = connection.execute(
                "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute "
                "where attrelid = 'strategyexecutionlog'::regclass and attnum > 0"
            ).fetchone()
            assert names
            self.columns = names[0]
            connection.execute(_ARRIVES)
            connection.execute(f"truncate {LOG}")
            create_tables(connection)

    def arrive(self, hour: datetime) -> int:
        """Write the rows that arrive within an hour; how many."""
        text = f"insert into {LOG} ({self.columns}) select {self.columns} from {ARCHIVE} where arrives = %s"
        return self.do(text, [hour])

    def do(self, text: Any, parameters: Any = None) -> int:
        """A statement of the engine or of its administrator; rows it was about."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(text, parameters).rowcount

    def rows(self) -> dict[str, Row]:
        """Every row of the log, by id."""
        text = f"select id::text, \"realmId\", (created_at at time zone 'UTC')::date::text, points::float8 from {LOG}"
        with psycopg.connect(self.url) as connection:
            return {one[0]: (one[1], one[2], one[3]) for one in connection.execute(text)}

    def change_some(self, hour: datetime) -> int:
        """Points of a few rows of the last day are written once more."""
        text = f"""update {LOG} set points = points + 1, updated_at = %s
            where id in (select id from {LOG} where created_at >= %s order by hashtext(id::text) limit 7)"""
        return self.do(text, [hour, hour - timedelta(days=1)])

    def programs(self) -> set[tuple[str, int, str | None]]:
        """Id, version and description of each."""
        with psycopg.connect(self.url) as connection:
            return set(connection.execute("select id::text, version, description from strategydefinition").fetchall())

    def publish(self, description: str) -> None:
        """A version more of a family, which has the number of the next."""
        self.do(
            """insert into strategydefinition (id, created_at, updated_at, "realmId", name, description, type, "astJson",
                                               version, status, "publishedAt")
            select gen_random_uuid(), created_at, updated_at, "realmId", name, %s, type, "astJson", version + 1, status,
                   "publishedAt"
              from strategydefinition where "realmId" = 'acme-cycling' and name = 'Speed bonus' order by version desc limit 1""",
            [description],
        )

    def deliver_again(self, hour: datetime) -> None:
        """Of what arrives within an hour half is never delivered again, and the other half with other points."""
        self.do(f"delete from {ARCHIVE} where arrives = %s and abs(hashtext(id::text)) / 7 %% 2 = 0", [hour])
        self.do(f"update {ARCHIVE} set points = points + 2 where arrives = %s", [hour])

    def crash(self, patience: float = 20) -> bool:
        """The process that serves a run is killed once it has begun, which throws everybody out; whether there was one."""
        until = time.monotonic() + patience
        with psycopg.connect(self.url, autocommit=True) as connection:
            while time.monotonic() < until:
                found = connection.execute(
                    "select pid from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend' "
                    "and backend_xmin is not null"
                ).fetchone()
                if found:
                    os.kill(found[0], signal.SIGKILL)
                    return True
                time.sleep(0.002)
        return False

    def wait(self) -> None:
        """Until it answers again."""
        while True:
            try:
                return psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                time.sleep(0.2)
