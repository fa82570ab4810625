"""SIGKILL to ``expire`` at every named step and at random moments: ``python -m tests.expire_kills --random 200``.

After each kill a reader must see either every row or exactly those of the days that stay; a rerun must leave exactly the files of
those days, byte for byte as they were, and a ledger that is true.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from importlib import resources
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg

from analytics import day_files
from analytics.expire import expire
from analytics.extraction import extract
from analytics.lake import Lake
from analytics.rates import Rates
from analytics.warehouse import Warehouse
from analytics.window import Window

from .proof import steps
from .proof.steps import Stop

BEFORE = date(2026, 7, 4)
#: Rows of the log table by day: three realms every day, 66 more on the second so that it has day files, and rows without a day.
FILL = """
    insert into strategyexecutionlog (id, created_at, updated_at, "strategyId", "strategyVersion", "strategyType", "realmId",
                                      "externalUserId", status, points, "durationMs", "nodesExecuted", trace, sampled)
    select gen_random_uuid(), moment, moment, 's1', 1, 'DSL_FULL', realm, 'u1', 'ok', 1, 1.5, 1,
           '[{"nodeId": "n1", "type": "literal", "value": 1}]', true
      from (select '2026-07-01 12:00+00'::timestamptz + number % 6 * interval '1 day',
                   (array['acme', 'Böhm/..', null])[1 + number / 6 % 3]
              from generate_series(0, 35) as number
            union all
            select '2026-07-02 13:00+00', 'tenant ' || number from generate_series(1, 66) as number
            union all
            select null, 'acme') as rows (moment, realm)
"""
ROWS, ROWS_THAT_STAY = 36 + 66 + 1, 18 + 1

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
PATIENCE_SECONDS = 60


class BrokenPromiseError(AssertionError):
    """Something is gone that should be there, or the other way round."""


@dataclass(frozen=True)
class Kept:
    """What has to be left of a lake.

    Attributes:
        template: The whole lake; never written.
        digests: Of the files that stay, by their names.
    """

    template: Path
    digests: dict[str, str]


def build(url: str, folder: Path) -> Kept:
    """A lake of six days, in a database with empty source tables."""
    with psycopg.connect(url) as connection:
        connection.execute(FILL)
        connection.execute(
            'insert into strategydefinition (id, "realmId", name, type, "astJson", version, status) '
            "values (gen_random_uuid(), 'acme', 'a', 'DSL_FULL', '{\"type\": \"program\", \"rules\": []}', 1, 'PUBLISHED')"
        )
    template = folder / "template"
    extract(url, Lake(template), Window.parse("2026-07-01", "2026-07-07"), rates=Rates((), 0.05))
    assert list(day_files.everywhere(Lake(template)))
    (template / ".set-aside").mkdir()
    (template / ".set-aside" / "copy.parquet.1.aside").write_text("somebody's")
    (template / ".lock").unlink()
    return Kept(template, {name: told for name, told in digests(template).items() if _stays(name)})


def _stays(name: str) -> bool:
    return not any(f"day=2026-07-0{number}" in name for number in (1, 2, 3))


def digests(lake: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    files = [path for path in lake.rglob("*") if path.is_file()]
    return {str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def copy(kept: Kept, lake: Path) -> Path:
    """A lake of its own with the same files; none is ever written in place, so links do."""
    shutil.rmtree(lake, ignore_errors=True)
    shutil.copytree(kept.template, lake, copy_function=os.link)
    return lake


class Child:
    """One ``expire`` in a process of its own."""

    def __init__(self, lake: Path, stop: Stop | None = None, log: Path | None = None) -> None:
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_main, args=(lake, stop, log, theirs), daemon=True)
        self._process.start()
        theirs.close()
        assert self._pipe.poll(PATIENCE_SECONDS)
        assert self._pipe.recv() == "started"

    def kill(self) -> None:
        """SIGKILL, now."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid or 0, signal.SIGKILL)

    def end(self) -> bool:
        """Wait for it; it was killed."""
        try:
            if not self._pipe.poll(PATIENCE_SECONDS):
                self.kill()
                raise TimeoutError(f"expire did nothing for {PATIENCE_SECONDS} s")
            try:
                said = self._pipe.recv()
            except (EOFError, ConnectionError):
                return True
            if said != "done":
                raise BrokenPromiseError(said)
            return False
        finally:
            self._process.join(PATIENCE_SECONDS)
            self._process.close()
            self._pipe.close()


def _main(lake: Path, stop: Stop | None, log: Path | None, pipe: Connection) -> None:
    steps.install(steps.Steps(lake, stop, None, log, lambda _: None))
    pipe.send("started")
    try:
        expire(Lake(lake), BEFORE)
    except BaseException as error:  # told to whoever waits
        pipe.send(repr(error))
    else:
        pipe.send("done")


def named_steps(kept: Kept, lake: Path, log: Path) -> list[Stop]:
    """Every kind of step of a run that is not stopped: the first time, one in the middle and the last, before and after."""
    log.unlink(missing_ok=True)
    Child(copy(kept, lake), log=log).end()
    found: dict[tuple[str, bool], list[int]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        step, number, when, *_ = line.split("\t")
        found.setdefault((step, when == "after"), []).append(int(number))  # one that fails has no after
    return [
        Stop(step, number, after)
        for (step, after), numbers in found.items()
        for number in sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]})
    ]


def read(lake: Path) -> None:
    """A reader meets all rows, or those of the days that stay."""
    [[found]] = Warehouse(Lake(lake)).connection.execute("select count(*) from executions").fetchall()
    if found not in (ROWS, ROWS_THAT_STAY):
        raise BrokenPromiseError(f"a reader sees {found} rows, neither {ROWS} nor {ROWS_THAT_STAY}")


def judge(kept: Kept, lake: Path, *, checks: bool) -> None:
    """A rerun leaves exactly what has to stay."""
    expire(Lake(lake), BEFORE)
    found = {name: told for name, told in digests(lake).items() if name not in (".lock", "expired.json")}
    if found != kept.digests:
        odd = sorted(name for name in {*found, *kept.digests} if found.get(name) != kept.digests.get(name))
        raise BrokenPromiseError(f"{len(odd)} files are not as they should be: {odd[:5]}")
    opened = Warehouse(Lake(lake))
    [[rows]] = opened.connection.execute("select count(*) from executions").fetchall()
    if rows != ROWS_THAT_STAY:
        raise BrokenPromiseError(f"{rows} rows are left, not {ROWS_THAT_STAY}")
    if checks and (
        wrong := [result.name for result in opened.check() if not result.passed and result.severity == "error"]
    ):
        raise BrokenPromiseError(f"checks fail: {wrong}")


def at(kept: Kept, lake: Path, stop: Stop, *, checks: bool) -> None:
    """Killed at one step."""
    if not Child(copy(kept, lake), stop).end():
        raise BrokenPromiseError(f"the run was not killed {stop}")
    read(lake)
    judge(kept, lake, checks=checks)


def at_random(kept: Kept, lake: Path, wanted: int, chance: random.Random) -> int:
    """Killed at so many random moments, a third of them twice or more in a row; how many runs ended before."""
    Child(copy(kept, lake)).end()
    lengths = []
    for _ in range(3):
        run = Child(copy(kept, lake))
        begun = time.perf_counter()
        run.end()
        lengths.append(time.perf_counter() - begun)
    longest, killed, survived = sorted(lengths)[1], 0, 0
    while killed < wanted:
        copy(kept, lake)
        while True:
            run = Child(lake)
            time.sleep(chance.uniform(0, longest))
            run.kill()
            was_killed = run.end()
            killed += was_killed
            survived += not was_killed
            read(lake)
            if not was_killed or killed >= wanted or chance.random() > 1 / 3:
                break
        judge(kept, lake, checks=killed % 20 == 0)
    return survived


def main() -> int:
    """Every named step, then random moments."""
    from analytics.demo.server import EmbeddedServer

    parser = argparse.ArgumentParser(prog="python -m tests.expire_kills", description=__doc__)
    parser.add_argument("--random", type=int, default=200, metavar="N", help="kills at random moments (200)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="strategy-analytics-"))
    try:
        with EmbeddedServer(folder / "server") as server:
            with psycopg.connect(server.url) as connection:
                connection.execute(resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_bytes())
            kept = build(server.url, folder)
        stops = named_steps(kept, folder / "lake", folder / "steps")
        for number, stop in enumerate(stops):
            at(kept, folder / "lake", stop, checks=number % 20 == 0)
        kinds = len({stop.step for stop in stops})
        sys.stdout.write(f"{len(stops)} kills at {kinds} kinds of steps: nothing else gone, the ledger true\n")
        survived = at_random(kept, folder / "lake", options.random, random.Random(options.seed))
        sys.stdout.write(
            f"{options.random} kills at random moments (and {survived} runs that ended before theirs): nothing else gone, the "
            f"ledger true; {time.perf_counter() - begun:.0f} s, seed {options.seed}\n"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
