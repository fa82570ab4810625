"""Where a scenario takes place: a server, a folder, a seed, the planted defects, and the tally of what was done."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from analytics.demo.server import EmbeddedServer

from . import child, forking, truth
from .child import Ended, Job
from .origin import SINCE, UNTIL, Origin
from .steps import Stop
from .truth import BrokenPromiseError


@dataclass
class Tally:
    """What a scenario has done.

    Attributes:
        runs, kills: Extractions started, and how many of them were stopped by force.
        rows, entries: Compared with PostgreSQL, over all comparisons.
        looks: Of the reader.
        where: What killed runs did last.
        notes: What a person should know of how it was tried.
    """

    runs: int = 0
    kills: int = 0
    rows: int = 0
    entries: int = 0
    looks: int = 0
    where: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


class World:
    """One scenario's surroundings.

    Args:
        server: The embedded PostgreSQL.
        folder: For lakes; real, not a link.
        seed: Of everything random.
        faults: Defects planted in every run.
        full: All of it, not the small version.
        kills: How many random kills.
    """

    def __init__(
        self,
        server: EmbeddedServer,
        folder: Path,
        seed: int | str,
        *,
        faults: tuple[str, ...] = (),
        full: bool,
        kills: int,
    ) -> None:
        self.server, self.folder, self.seed, self.faults = server, folder.resolve(), seed, faults
        self.full, self.kills = full, kills
        self.random = random.Random(seed)
        self.tally = Tally()
        self._numbers = itertools.count(1)
        self._origins: list[Origin] = []

    def close(self) -> None:
        """Drop what was made."""
        for origin in self._origins:
            with contextlib.suppress(psycopg.Error):
                origin.drop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def origin(self, rows: int | None = None) -> Origin:
        """A new source."""
        made = Origin(self.server.url, self.random, (400 if self.full else 60) if rows is None else rows)
        self._origins.append(made)
        return made

    def lake(self) -> Path:
        """A new lake's folder."""
        return self.folder / f"lake-{next(self._numbers)}"

    def file(self, name: str) -> Path:
        """A path for something else."""
        return self.folder / f"{name}-{next(self._numbers)}"

    # ---- runs ------------------------------------------------------------------------------------------------------

    def job(self, origin: Origin, lake: Path, stop: Stop | None = None, **more: Any) -> Job:
        """An extraction as it stands in a crontab."""
        self.tally.runs += 1
        facts = {"since": SINCE, "until": UNTIL, "faults": self.faults, **more}
        return Job(origin.url, lake, stop=stop, **facts)

    def run(self, origin: Origin, lake: Path, stop: Stop | None = None, **more: Any) -> Ended:
        """One run to its end, whatever that is."""
        ended = child.run(self.job(origin, lake, stop, **more))
        self.ended(ended)
        return ended

    def ended(self, ended: Ended) -> None:
        """Count how a run ended; a defect of the package's own is one, and never how a run may end."""
        if ended.how == "killed":
            self.tally.kills += 1
            self.tally.where[ended.last_step] += 1
        if ended.how == "crashed":
            raise BrokenPromiseError(f"a run ended with an error that is no sentence: {ended.message[-600:]}")

    def normal(self, origin: Origin, lake: Path, **more: Any) -> Ended:
        """A run that must succeed."""
        origin.note()
        ended = self.run(origin, lake, **more)
        if ended.how != "done":
            raise BrokenPromiseError(f"a normal run {ended.how}: {ended.message[-600:]}")
        return ended

    def settle(self, origin: Origin, lake: Path, *, checks: bool = True, **more: Any) -> None:
        """One more normal run; afterwards the lake equals the source."""
        self.normal(origin, lake, **more)
        self.compare(origin, lake, checks=checks)

    def compare(self, origin: Origin, lake: Path, *, also: dict[str, Any] | None = None, checks: bool = True) -> None:
        """The lake equals the source, and is tidy."""
        try:
            compared = truth.at_rest(origin, lake, also=also, checks=checks)
        except duckdb.Error as error:
            raise BrokenPromiseError(f"the lake cannot be read: {error}"[:400]) from error
        origin.confirm()
        self.tally.rows += compared.rows
        self.tally.entries += compared.entries

    def refused(self, ended: Ended, exit_code: int, *words: str) -> None:
        """The run ended with a sentence."""
        if ended.how != "failed" or ended.exit_code != exit_code:
            raise BrokenPromiseError(f"a run that cannot go on {ended.how} ({ended.exit_code}): {ended.message[:400]}")
        for word in words:
            if word not in ended.message:
                raise BrokenPromiseError(f"{word!r} is not in: {ended.message[:400]}")

    # ---- the server ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def until_cut_off(self) -> Iterator[None]:
        """Return when the server has thrown out a connection of ours: until it does, it lets newcomers in and then drops them."""
        with psycopg.connect(self.server.url, autocommit=True) as witness:
            yield
            deadline = time.monotonic() + 60
            with contextlib.suppress(psycopg.OperationalError):
                while time.monotonic() < deadline:
                    witness.execute("select 1")
                    time.sleep(0.01)
                raise TimeoutError("the server did not notice that one of its processes was killed")

    def wait_for_server(self) -> None:
        """Until it lets us in again."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with psycopg.connect(self.server.url, connect_timeout=5):
                    return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def backends(self, origin: Origin) -> list[int]:
        """Server processes of the runs on a source."""
        return [
            row[0]
            for row in origin.execute(
                "select pid from pg_stat_activity where datname = current_database() and application_name = 'strategy-analytics'"
            )
        ]


@contextlib.contextmanager
def a_server(folder: Path) -> Iterator[EmbeddedServer]:
    """The server of the whole proof; and the process that all runs are forked from."""
    with EmbeddedServer(folder) as server:
        forking.begin(server.url)
        yield server
