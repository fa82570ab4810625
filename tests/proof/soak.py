"""Minutes of everything at once: writers that commit out of order, extracts, random kills, and readers that check each step."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import psycopg

from analytics.demo.server import EmbeddedServer

from . import child, truth
from .origin import Origin
from .truth import BrokenPromiseError
from .world import World

PAUSE_EVERY = 8
"""After so many steps the writers pause, and the lake is compared with the source row by row."""


class Writers:
    """Threads that write: each opens a transaction, inserts, waits, and commits (or not) in its own time."""

    def __init__(self, origin: Origin, seed: int, count: int) -> None:
        self._origin, self._stop, self._go = origin, threading.Event(), threading.Event()
        self._go.set()
        self._busy = [threading.Lock() for _ in range(count)]
        self.committed = 0
        self.failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._write, args=(random.Random(f"writer {seed} {number}"), lock), daemon=True)
            for number, lock in enumerate(self._busy)
        ]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Until ``go_on``, nothing is open and nothing changes."""
        self._go.clear()
        for lock in self._busy:
            lock.acquire()

    def go_on(self) -> None:
        """Write again."""
        for lock in self._busy:
            lock.release()
        self._go.set()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join(60)

    def _write(self, numbers: random.Random, busy: threading.Lock) -> None:
        try:
            while not self._stop.is_set():
                self._go.wait()
                with busy, psycopg.connect(self._origin.url) as connection:
                    rows = numbers.randint(1, 4)
                    mine = Origin.__new__(Origin)
                    mine.random = numbers
                    mine.add(rows, into=connection)
                    if numbers.random() < 0.2:
                        connection.execute(
                            'update strategyexecutionlog set points = 1, "strategyVersion" = "strategyVersion" + 1 where id = '
                            "(select id from strategyexecutionlog order by md5(id::text || %s) limit 1 for update skip locked)",
                            [str(numbers.random())],
                        )
                    time.sleep(numbers.choice([0, 0, 0.02, 0.2, 1.0]))
                    if numbers.random() < 0.05:
                        connection.rollback()
                    else:
                        self.committed += rows
                time.sleep(numbers.uniform(0.02, 0.3))
        except Exception as error:  # told by the main thread
            self.failures.append(f"{type(error).__name__}: {error}")


def soak(server: EmbeddedServer, base: Path, seed: int, seconds: float) -> int:
    """Go on for so long; 0 when every invariant held."""
    folder = base / "soak"
    folder.mkdir()
    world = World(server, folder, seed, full=True, kills=0)
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    writers = Writers(origin, seed, 4)
    start, steps, refused, said = time.monotonic(), 0, 0, 0.0
    try:
        while (passed := time.monotonic() - start) < seconds:
            steps += 1
            if writers.failures:
                raise BrokenPromiseError(f"a writer failed: {writers.failures[0]}")
            refused += _step(world, origin, lake)
            _rows_are_real(origin, lake)
            if steps % PAUSE_EVERY == 0:
                writers.pause()
                world.settle(origin, lake)
                writers.go_on()
            if passed - said >= 30:
                said = passed
                print(_state(passed, world, steps, writers, refused), flush=True)
        writers.pause()
        world.settle(origin, lake)
        writers.go_on()
    except BrokenPromiseError as error:
        print(f"BROKEN after {time.monotonic() - start:.0f} s, seed {seed}: {error}")
        return 1
    finally:
        writers.stop()
        print(_state(time.monotonic() - start, world, steps, writers, refused), flush=True)
        world.close()
    print("every invariant held after each step")
    return 0


def _step(world: World, origin: Origin, lake: Path) -> int:
    """One to three runs, some of them killed; how many were refused because another had the lock."""
    count = world.random.choice([1, 1, 1, 2, 3])
    runs = [child.Run(world.job(origin, lake, options={"force": world.random.random() < 0.3})) for _ in range(count)]
    if world.random.random() < 0.6:
        time.sleep(world.random.uniform(0, 0.6))
        world.random.choice(runs).kill()
    refused = 0
    for run in runs:
        ended = run.end()
        world.ended(ended)
        if ended.how == "failed":
            world.refused(ended, 75)
            refused += 1
    return refused


def _rows_are_real(origin: Origin, lake: Path) -> None:
    """While writers go on: every row of the lake is one that the source has or had, once, whole; no file is half."""
    found = truth._lake_rows(lake)
    if len({row[0] for row in found}) != len(found):
        raise BrokenPromiseError("a row is there twice", duplicated=len(found) - len({row[0] for row in found}))
    now = truth.rows_of(origin)
    for key, *row in found:
        mine, theirs = tuple(row), now.get(key)
        if theirs is None:
            raise BrokenPromiseError(f"a row that the source never committed: {key}")
        if mine != theirs and mine[4] >= theirs[4]:
            raise BrokenPromiseError(f"a row differs and is not older: {mine} instead of {theirs}"[:500])
    ledger = truth.ledger_of(lake)
    executions, _ = truth._seen(lake)
    for place, (rows, _entries) in ledger.items():
        state = executions.get(place)
        if rows and (state is None or state.rows < rows):
            raise BrokenPromiseError(f"{place}: the ledger tells {rows} rows, there are {state}", half=1)


def _state(passed: float, world: World, steps: int, writers: Writers, refused: int) -> str:
    return (
        f"{passed:5.0f} s: {steps} steps, {world.tally.runs} runs, {world.tally.kills} killed, {refused} refused, "
        f"{writers.committed} rows committed meanwhile, {world.tally.rows:,} rows compared, lost 0, twice 0"
    )
