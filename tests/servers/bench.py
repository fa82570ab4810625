"""What every ground does: extract the known rows, let late ones arrive, extract again, compare; or be refused in words."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import psycopg

from analytics.errors import AnalyticsError, read_by_command
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from analytics.model import ExtractResult
from analytics.source import connection as server_connection
from analytics.warehouse.warehouse import Warehouse
from analytics.window import Window
from tests.extracting import extract
from tests.servers import compare, rows
from tests.servers.compare import Compared
from tests.servers.server import Server

LONGEST = 90
"""Seconds after which a run is said to hang."""

_numbers = itertools.count(1)


class HangError(BaseException):
    """A run did not end."""


class BrokenError(AssertionError):
    """What has to hold did not."""


@dataclass(frozen=True)
class Line:
    """One line of the matrix.

    Attributes:
        ground: What the source was.
        what: What was done.
        compared: Rows and what became of them.
        said: How it ended, in the program's words.
        broken: What did not hold; empty where all did.
        skipped: Why it was not tried; empty where it was.
        seconds: It took.
    """

    ground: str
    what: str
    compared: Compared
    said: str
    broken: str
    skipped: str
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        result: Of one that succeeded.
        error: Of one that was refused.
    """

    result: ExtractResult | None = None
    error: AnalyticsError | None = None

    @property
    def sentence(self) -> str:
        """The refusal, in one line with its repair, as who typed a command reads it; else the notes."""
        if self.error is not None:
            with read_by_command():
                return f"{self.error.message} → {self.error.hint}"
        return "; ".join(self.result.notes) if self.result else ""


@dataclass
class Bench:
    """Where grounds are tried.

    Args:
        folder: For servers and lakes.
        tell: Told of each line.

    Attributes:
        lines: The matrix so far.
    """

    folder: Path
    tell: Callable[[Line], None] = lambda _: None
    lines: list[Line] = field(default_factory=list)

    def place(self, name: str = "pg") -> Path:
        """A folder that nobody has used."""
        found = self.folder / f"{name}-{next(_numbers)}"
        found.mkdir()
        found.chmod(0o755)
        return found

    def lake(self) -> Lake:
        """One that nobody has used."""
        return Lake(self.folder / f"lake-{next(_numbers)}")

    def skip(self, ground: str, why: str) -> None:
        """Say that something was not tried."""
        self._add(Line(ground, "", Compared(0), "", "", why, 0.0))

    def enter(self, ground: Callable[[Bench], None]) -> None:
        """Try a ground; where it cannot even be made, that is a line, and the next one is tried."""
        try:
            ground(self)
        except Exception as error:
            broken = f"{type(error).__name__}: {error} {traceback.format_exc()[-700:]}"
            self._add(Line(ground.__name__, "", Compared(0), "", broken, "", 0.0))

    def play(self, ground: str, what: str, work: Callable[[], tuple[Compared, str]]) -> None:
        """Do one thing and write down how it went.

        Args:
            ground, what: In words.
            work: What to do: what was compared, and what was said.
        """
        began = time.monotonic()
        compared, said, broken = Compared(0), "", ""
        try:
            compared, said = work()
        except BrokenError as error:
            broken = str(error)
        except Exception as error:
            broken = f"{type(error).__name__}: {error} {traceback.format_exc()[-700:]}"
        self._add(Line(ground, what, compared, said, broken, "", time.monotonic() - began))

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        self.tell(line)

    # ---- what is done -------------------------------------------------------------------------------------------

    def run(self, url: str, lake: Lake, window: tuple[str, str] = rows.WINDOWS[-1], **options: Any) -> Outcome:
        """One extraction; an end that is no result and no sentence of ours is a fault.

        Raises:
            BrokenError: It hung, or ended in another error.
        """
        try:
            with _limited(), mock.patch.object(server_connection, "FIRST_PAUSE", 0.1):
                return Outcome(extract(url, lake, Window.parse(*window), rates=Rates((), 0.05), **options))
        except AnalyticsError as error:
            return Outcome(error=error)
        except HangError:
            raise BrokenError(f"a run hung for {LONGEST} s") from None
        except Exception as error:
            raise BrokenError(
                f"no sentence but {type(error).__name__}: {error} {traceback.format_exc()[-600:]}"
            ) from error

    def done(self, url: str, lake: Lake, **options: Any) -> list[ExtractResult]:
        """All days once; each run must succeed.

        Raises:
            BrokenError: One was refused.
        """
        found = []
        for window in rows.WINDOWS:
            outcome = self.run(url, lake, window, **options)
            if outcome.result is None:
                raise BrokenError(f"refused: {outcome.sentence}")
            found.append(outcome.result)
        return found

    def equal(self, owner: str, lake: Lake) -> Compared:
        """The lake is the source, and its checks find nothing.

        Raises:
            BrokenError: It is not.
        """
        compared = compare.compare(compare.source_rows(owner), Path(str(lake.root)))
        if not compared.is_equal:
            raise BrokenError(
                f"{compared.rows} rows: {compared.lost} lost, {compared.twice} twice, {compared.other} others; {compared.example}"
            )
        failed = [one for one in Warehouse(lake).check() if one.severity == "error" and not one.passed]
        if failed:
            raise BrokenError(f"check {failed[0].name} fails: {failed[0].example}")
        self._programs(owner, lake)
        return compared

    def _programs(self, owner: str, lake: Lake) -> None:
        known = [(row[0], *row[1:4]) for row in compare.programs(owner)]
        asked = "select strategy_id, realm_id, family_name, strategy_version from definitions where not is_deleted"
        found = sorted(Warehouse(lake).sql(asked).fetchall(), key=repr)
        if known != found:
            raise BrokenError(f"the lake has {len(found)} programs where the source has {len(known)}")

    def ordinary(
        self, owner: str, reader: str, lake: Lake, *, settle: Callable[[], object] = lambda: None, **options: Any
    ) -> tuple[Compared, str]:
        """Extract what is there, let rows arrive late and change, extract again, and once more for nothing.

        Args:
            owner: URL of the source whose rows count; its log is filled already.
            reader: URL that is read.
            lake: To write.
            settle: Waits until what was written can be read.
            options: Of the extraction.

        Raises:
            BrokenError: Something did not hold.
        """
        settle()
        first = self.done(reader, lake, **options)
        before = self.equal(owner, lake)
        arrive(owner)
        settle()
        self.done(reader, lake, **options)
        after = self.equal(owner, lake)
        again = self.done(reader, lake, **options)
        if not all(one.nothing_to_do for one in again):
            raise BrokenError(f"a run over what has not changed reads again: {again[-1].notes}")
        notes = dict.fromkeys(note for one in first for note in one.notes)
        return Compared(before.rows + after.rows), "; ".join(notes)

    def once(self, owner: str, reader: str, lake: Lake, **options: Any) -> tuple[Compared, str]:
        """Extract what is there, and nothing a second time.

        Raises:
            BrokenError: Something did not hold.
        """
        found = self.done(reader, lake, **options)
        compared = self.equal(owner, lake)
        if not all(one.nothing_to_do for one in self.done(reader, lake, **options)):
            raise BrokenError("a run over what has not changed reads again")
        return compared, "; ".join(dict.fromkeys(note for one in found for note in one.notes))

    def equal_at_last(self, owner: str, reader: str, lake: Lake, outcome: Outcome) -> tuple[Compared, str]:
        """Whatever became of a run, the next makes the lake the source.

        Raises:
            BrokenError: It does not.
        """
        self.done(reader, lake)
        return self.equal(owner, lake), outcome.sentence

    @contextlib.contextmanager
    def paused(self, seconds: float) -> Iterator[None]:
        """The first partition takes so long to write."""
        real, left = Lake.replace, [seconds]

        def slow(*args: Any, **options: Any) -> Any:
            if left:
                time.sleep(left.pop())
            return real(*args, **options)

        with mock.patch.object(Lake, "replace", slow):
            yield

    def refused(self, url: str, lake: Lake, *words: str, at_once: bool = False, **options: Any) -> tuple[Compared, str]:
        """A run ends with a sentence that has these words, and a repair; the lake is left as it was.

        Args:
            url: That is read.
            lake: To write.
            words: Of the sentence, or of its repair.
            at_once: Trying again would not help, so it is not done.
            options: Of the extraction.

        Raises:
            BrokenError: It does not.
        """
        before = compare.lake_rows(Path(str(lake.root)))
        outcome = self.run(url, lake, **options)
        if outcome.error is None:
            raise BrokenError("not refused")
        if at_once and "given up after" in outcome.sentence:
            raise BrokenError(f"tried again in vain: {outcome.sentence}")
        missing = [word for word in words if word not in outcome.sentence]
        if missing or not outcome.error.hint:
            raise BrokenError(f"no helpful words ({', '.join(missing) or 'no repair'}): {outcome.sentence}")
        if compare.lake_rows(Path(str(lake.root))) != before:
            raise BrokenError(f"refused, and yet the lake is another: {outcome.sentence}")
        return Compared(len(before)), outcome.sentence


def fill(owner: str, table: str = rows.LOG) -> int:
    """The tables, the programs and the early rows; how many the server could not hold."""
    with psycopg.connect(owner, client_encoding="utf8") as connection:
        rows.create(connection)
        return rows.write(connection, rows.early(), table)


def arrive(owner: str) -> None:
    """The late rows, and changes of earlier ones."""
    with psycopg.connect(owner, client_encoding="utf8") as connection:
        rows.write(connection, rows.late())
        for statement in rows.CHANGES:
            connection.execute(statement)


def filled(server: Server, database: str, more: str = "") -> tuple[str, int]:
    """A database of a server with the known rows: its owner's URL, and how many rows it could not hold.

    Args:
        server: Where.
        database: Its name.
        more: Of CREATE DATABASE.
    """
    server.execute(f"create database {database} {more}")
    owner = server.url(database)
    return owner, fill(owner)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def hang(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
