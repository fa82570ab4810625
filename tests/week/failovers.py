"""A source that loses what it has told: a failover, the old primary that comes back, a backup restored to forty minutes ago."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.week.servers import Servers, serves

if TYPE_CHECKING:
    from tests.week.week import Week

HOUR = timedelta(hours=1)
WAIT = 3.0
"""Seconds without a server that takes writes: the standby answers meanwhile, and says that it takes none."""


class Failovers:
    """What befalls a week's servers.

    Args:
        week: It.
        servers: Where its source is.
        error: Raised where something does not hold.
    """

    def __init__(self, week: Week, servers: Servers, error: type[Exception]) -> None:
        self._week, self._servers, self._error = week, servers, error

    def back_up(self, _hour: datetime) -> str:
        """A backup, for later."""
        self._servers.back_up()
        return "a backup of the source's disk is made"

    def fail_over(self, hour: datetime) -> str:
        """The primary is killed while it is read; the standby was not told of what the lake has read by then."""
        self._servers.cut_off()

        def happen() -> int:
            was_read: list[bool] = []

            def kill() -> None:
                was_read.append(serves(self._week.source.url, 20))
                self._servers.fail_over(WAIT)

            thread = threading.Thread(target=kill)
            thread.start()
            done = self._week.command("extract", "--force", *self._week.window(hour))
            thread.join()
            self._week.ends("extract in a failover", done, {0})
            self._week.counts["failovers under a run"] += was_read[0]
            if was_read[0] and "went on by itself" not in done.stderr:
                raise self._error(f"{hour}: the run did not notice that its server was killed: {done.stderr}")
            return self._says(hour, done.stderr)

        lost = self._lose(hour, happen)
        return f"the primary is killed under a run, and the standby takes its place without {lost} rows that the lake had read"

    def come_back(self, hour: datetime) -> str:
        """Two primaries, and the URL asks the old one first."""
        self._servers.come_back()
        before = self._files()
        done = self._week.command("extract", *self._week.window(hour))
        self._week.ends("extract from a primary that was replaced", done, {3})
        if "on timeline 2, and this is one on timeline 1" not in done.stderr or self._files() != before:
            raise self._error(f"{hour}: a primary that was replaced was read: {done.stderr}")
        self._servers.rejoin()
        return "the old primary comes back by itself beside the new one; the run refuses it. Then it is made a standby"

    def restore(self, hour: datetime) -> str:
        """The source goes back by forty minutes, to a moment between two lots of rows."""
        self._servers.mark()

        def happen() -> int:
            self._servers.restore()
            done = self._week.command("extract", *self._week.window(hour))
            self._week.ends("extract after the source was restored", done, {0})
            return self._says(hour, done.stderr)

        lost = self._lose(hour, happen)
        return f"the source is restored to forty minutes ago, without {lost} rows that the lake had read"

    def _lose(self, hour: datetime, happen: Callable[[], int]) -> int:
        """Rows, updates and a program are written and read; then something happens after which the source has none of it.

        Half of the rows are delivered again in the next hour, with other points; the others never. The program is published again
        under the same version, and is another one.
        """
        week, source, before = self._week, self._week.source, self._servers.timeline
        week.counts["rows that arrived and were lost"] += source.arrive(hour + HOUR)
        source.change_some(hour)
        source.publish("known to one server only")
        week.extract(hour, is_killed=False)
        told = source.rows()
        said = happen()
        if self._servers.timeline != before + 1:
            raise self._error(f"{hour}: timeline {self._servers.timeline} after {before}")
        lost = {key: row for key, row in told.items() if key not in source.rows()}
        held = lost.keys() - week.erased_ids()
        if not held:
            raise self._error(f"{hour}: nothing was lost, so nothing was tried")
        if said != len(held):
            raise self._error(f"{hour}: {len(held)} rows were lost, and the run says {said}")
        source.deliver_again(hour + HOUR)
        source.publish("published again")
        week.check(hour, is_whole=True, is_about_programs=False)
        return len(held)

    def _says(self, hour: datetime, said: str) -> int:
        found = re.search(r"was promoted or restored since .*?: ([\d,]+) rows that the lake had", said)
        if not found:
            raise self._error(f"{hour}: nothing is said of a server that was promoted or restored: {said}")
        return int(found[1].replace(",", ""))

    def _files(self) -> dict[str, tuple[int, int]]:
        """Of the lake; each run writes who holds the lock."""
        found = [path for path in self._week.lake.rglob("*") if path.is_file() and path.name != ".lock"]
        return {f"{path}": (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
