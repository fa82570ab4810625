"""The week: what happens at which hour, and what has to hold after each."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.lake.lake import Lake
from analytics.warehouse.warehouse import Warehouse
from tests.week.failovers import Failovers
from tests.week.servers import Servers
from tests.week.source import Row, Source

RATES = """[[rate]]
rate = 0.05

[[rate]]
rate = 0.1
since = {since:%Y-%m-%dT%H:%M:%SZ}
"""
DEFINITION = """every = "day"
catch_up_days = 2

[[report]]
name = "runaway-rules"
notebook = "runaway_rules"
window = "yesterday"
realms = "all"

[[report]]
name = "speed-bonus"
notebook = "post_mortem"
window = "last 7 days"
realms = ["acme-cycling"]
families = ["Speed bonus"]
"""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class WeekError(AssertionError):
    """What has to hold did not."""


@dataclass
class Week:
    """A source, its lake and its reports.

    Attributes:
        source: The log.
        folder: Of lake, reports and files.
        first: Its first hour, UTC.
        random: Decides when a run is killed.
        servers: Of the source, where one may take the other's place.
        counts: What was done, and how it ended.
        said: A line per event.
    """

    source: Source
    folder: Path
    first: datetime
    random: random.Random
    servers: Servers | None = None
    counts: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    _kept: dict[str, Row] = field(default_factory=dict)
    _held: dict[str, Row] = field(default_factory=dict)
    _erased: set[str] = field(default_factory=set)
    _expired: str = ""
    _rate_changes: datetime | None = None
    _prefix: tuple[str, ...] = ()

    @property
    def lake(self) -> Path:
        """Its folder."""
        return self.folder / "lake"

    def run(self, hours: int) -> None:
        """Live through some hours.

        Raises:
            WeekError: Something did not hold; it says what, and at which hour.
        """
        (self.folder / "nightly.toml").write_text(DEFINITION, encoding="utf-8")
        events = self._events()
        for number in range(hours):
            hour = self.first + number * HOUR
            self.counts["rows arrived"] += self.source.arrive(hour)
            if number % 10 == 9:
                self.counts["rows written once more"] += self.source.change_some(hour)
            for event in events.get(number, ()):
                self.said.append(f"{hour:%a %H:%M} {event(hour)}")
            self.extract(hour)
            if hour.hour == 2 and number > 24:
                self._report(hour)
        self.extract(self.first + hours * HOUR, is_killed=False)

    # ---- what happens ------------------------------------------------------------------------------------------------------

    def _events(self) -> Mapping[int, tuple[Callable[[datetime], str], ...]]:
        """By hour of the week."""
        failovers = Failovers(self, self.servers, WeekError) if self.servers else None
        with_servers: dict[int, tuple[Callable[[datetime], str], ...]] = {}
        if failovers:
            with_servers = {
                34: (failovers.fail_over,),
                37: (failovers.come_back,),
                93: (failovers.back_up,),
                99: (failovers.restore,),
            }
        return with_servers | {
            30: (self._change_rate,),
            45: (self._add_column,),
            57: (self._crash,),
            70: (self._erase,),
            76: (self._drop_old,),
            90: (self._set_clock_back,),
            102: (self._set_clock_right,),
            110: (self._describe_program,),
            124: (self._expire,),
            140: (self._crash,),
            150: (self._kill_report,),
        }

    def _change_rate(self, hour: datetime) -> str:
        self._rate_changes = hour
        (self.folder / "rates.toml").write_text(RATES.format(since=hour), encoding="utf-8")
        return "the engine's rate is another one from now on, written down in a file"

    def _add_column(self, _hour: datetime) -> str:
        self.source.do("alter table strategyexecutionlog add column reviewer varchar default 'nobody'")
        return "the log has a column more, in the middle of the week"

    def _crash(self, _hour: datetime) -> str:
        found: list[bool] = []
        thread = threading.Thread(target=lambda: found.append(self.source.crash()))
        thread.start()
        done = self.command("extract", "--force", *self.window(_hour))
        thread.join()
        self.source.wait()
        self.counts["server crashes"] += found[0]
        self.ends("extract in a crash", done, {0, 3})
        return f"the server crashes under a run, which ends with {done.returncode}"

    def _erase(self, _hour: datetime) -> str:
        users = Warehouse(Lake(self.lake)).sql(
            "select external_user_id, count(*) from executions where external_user_id is not null group by 1 order by 2 desc, 1"
        )
        user = users.fetchall()[0][0]
        self.ends("erase", self.command("erase", "--user", user), {0})
        self._erased.add(user)
        return "somebody is erased; the source still has the rows"

    def _drop_old(self, hour: datetime) -> str:
        gone = self.source.do("delete from strategyexecutionlog where created_at < %s", [hour - 3 * DAY])
        return f"the source drops {gone:,} rows that are three days old"

    def _set_clock_back(self, _hour: datetime) -> str:
        if shutil.which("faketime") is None:
            return "no faketime here: this machine's clock stays right (apt-get install faketime)"
        self._prefix = ("faketime", "-f", "-3h")
        return "this machine's clock is set back by three hours"

    def _set_clock_right(self, _hour: datetime) -> str:
        self._prefix = ()
        return "this machine's clock is right"

    def _describe_program(self, hour: datetime) -> str:
        self.source.do(
            """update strategydefinition set description = 'described anew', updated_at = %s
            where id = (select id from strategydefinition order by id limit 1)""",
            [hour],
        )
        return "a program is described anew, in place"

    def _expire(self, hour: datetime) -> str:
        before = (hour - 3 * DAY).date().isoformat()
        # Days of which the source has dropped rows are not as it has them, and this is known.
        self.ends("expire", self.command("expire", "--before", before, "--yes", "--unverified", "--accept-clock"), {0})
        self._expired = before
        return f"days before {before} are expired"

    def _kill_report(self, hour: datetime) -> str:
        words = ["report", "run", "nightly.toml", "--as-of", f"{hour:%Y-%m-%d}", "--force"]
        done = self.command(*words, killed_after=2.5)
        self.counts["reports killed"] += done.returncode < 0
        return f"reports are killed in their middle ({done.returncode})"

    # ---- the commands ------------------------------------------------------------------------------------------------------

    def window(self, hour: datetime) -> tuple[str, ...]:
        day = hour.date()
        since = max(day - 2 * DAY, self.first.date())
        return "--since", f"{since}", "--until", f"{day + DAY}"

    def extract(self, hour: datetime, *, is_killed: bool | None = None) -> None:
        is_killed = self.random.random() < 0.15 if is_killed is None else is_killed
        after = self.random.uniform(0.2, 2.0) if is_killed else None
        done = self.command("extract", *self.window(hour), killed_after=after)
        self.counts["extractions"] += 1
        self.counts["extractions killed"] += done.returncode < 0
        if done.returncode >= 0:
            self.ends(f"extract at {hour:%a %H:%M}", done, {0})
        self.check(hour, is_whole=done.returncode == 0)

    def _report(self, hour: datetime) -> None:
        done = self.command("report", "run", "nightly.toml", "--as-of", f"{hour:%Y-%m-%d}", "--json")
        # 4 in the first days: a window of a week begins before the log does.
        self.ends(f"report run at {hour:%a %H:%M}", done, {0, 1, 4})
        for one in json.loads(done.stdout):
            self.counts[f"reports {one['state']}"] += 1
        if not (self.folder / "out" / "index.html").is_file():
            raise WeekError(f"{hour:%a %H:%M}: no index")

    def command(self, *words: str, killed_after: float | None = None) -> subprocess.CompletedProcess[str]:
        rates = self.folder / "rates.toml"
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "ANALYTICS_DATABASE_URL": self.source.url,
            "ANALYTICS_LAKE": str(self.lake),
            "ANALYTICS_REPORTS": str(self.folder / "out"),
            **({"ANALYTICS_SAMPLE_RATES": str(rates)} if self._rate_changes else {"ANALYTICS_SAMPLE_RATE": "0.05"}),
        }
        process = subprocess.Popen(
            [*self._prefix, sys.executable, "-m", "analytics", *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=killed_after or 600)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            if killed_after is None:
                raise WeekError(f"{words} did not end within ten minutes: {err[-2000:]}") from None
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def ends(self, what: str, done: subprocess.CompletedProcess[str], codes: set[int]) -> None:
        if done.returncode not in codes:
            raise WeekError(f"{what}: exit code {done.returncode}, {done.stderr[-3000:]}")

    # ---- what has to hold --------------------------------------------------------------------------------------------------

    def check(self, hour: datetime, *, is_whole: bool, is_about_programs: bool = True) -> None:
        """Every row once, where and as the source has it; what it has lost as it was; nobody who was erased; nothing expired.

        Args:
            hour: The last one.
            is_whole: A run has ended well: the lake has every row of its window.
            is_about_programs: And every program.
        """
        began = time.monotonic()
        source = self.source.rows()
        self._kept |= source
        # The very first run may have been killed before there was a lake.
        warehouse = Warehouse(Lake(self.lake)) if (self.lake / "ledger").is_dir() else None
        rows = warehouse.sql(_ROWS).fetchall() if warehouse else []
        found = {one[0]: (one[1], one[2], one[3]) for one in rows}
        if len(found) != len(rows):
            raise WeekError(f"{hour}: {len(rows) - len(found)} ids stand twice")
        if strange := {key: row for key, row in found.items() if row[1] < self._expired or key not in self._kept}:
            raise WeekError(
                f"{hour}: {len(strange)} rows that should not be there, such as {next(iter(strange.items()))}"
            )
        if users := self._erased & {one[4] for one in rows}:
            raise WeekError(f"{hour}: {len(users)} erased users are there")
        erased = self.erased_ids()
        held = {key: row for key, row in self._held.items() if row[1] >= self._expired and key not in erased}
        if gone := {
            key for key, row in held.items() if found.get(key) != row and (key not in source or key not in found)
        }:
            raise WeekError(
                f"{hour}: {len(gone)} rows that the lake had are gone or other ones, such as {next(iter(gone))}"
            )
        self._held |= found
        self.counts["rows held that the source has lost"] = len(held.keys() - source.keys())
        if is_whole:
            since = max(hour.date() - 2 * DAY, self.first.date()).isoformat()
            wanted = {key: row for key, row in source.items() if row[1] >= since}
            missing = {key for key in wanted if key not in found} - erased
            other = {key for key in wanted if key in found and found[key] != wanted[key]}
            if missing or other:
                raise WeekError(f"{hour}: {len(missing)} rows are missing, {len(other)} are other ones")
            self.counts["rows compared"] += len(wanted)
            assert warehouse
            if is_about_programs:
                there = set(warehouse.sql(_PROGRAMS).fetchall())
                if odd := there ^ self.source.programs():
                    raise WeekError(f"{hour}: programs differ: {odd}")
            if bad := [one for one in warehouse.check() if one.severity == "error" and not one.passed]:
                raise WeekError(f"{hour}: {bad}")
        self.counts["checks"] += 1
        self.counts["seconds of checks"] += round(time.monotonic() - began)

    def erased_ids(self) -> set[str]:
        if not self._erased:
            return set()
        import psycopg

        with psycopg.connect(self.source.url) as connection:
            text = 'select id::text from arriving where "externalUserId" = any(%s)'
            return {one[0] for one in connection.execute(text, [sorted(self._erased)])}


_ROWS = """select execution_id, realm_id, day::varchar, points::double, external_user_id
from executions where created_at is not null"""
_PROGRAMS = "select strategy_id, strategy_version, description from definitions where not is_deleted"


def utc(text: str) -> datetime:
    """A moment, as ISO 8601 has it without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
