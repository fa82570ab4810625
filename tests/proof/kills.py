"""Scenarios: killed at every step and at any moment, several at once, a stale lock, a power cut."""

from __future__ import annotations

import os
import signal
import statistics
import time
from pathlib import Path

import duckdb

from . import child, power, truth
from .origin import Origin
from .steps import Stop
from .truth import BrokenPromiseError
from .watch import watching
from .world import World

#: What the small version stops at: where a defect of the order of things would show.
TELLING = ("rename to executions", "rename to node_days", "rename to ledger", "read COPY data", "write rows to a file")


def at_every_step(world: World) -> None:
    """SIGKILL before and after every step, on the first run of a lake and on one that replaces all of it."""
    origin, lake = world.origin(), world.lake()
    for first in (True, False):
        for stop in _stops(world, origin, lake if not first else None):
            if first:
                lake = world.lake()
                origin.forget()
            else:
                origin.stir()
            origin.note()
            world.run(origin, lake, stop, options={} if first else {"force": True})
            truth.examine(origin, lake)
            world.settle(origin, lake, checks=world.random.random() < 0.2)
        if first:
            lake = world.lake()
            origin.forget()
            world.settle(origin, lake)


def _stops(world: World, origin: Origin, lake: Path | None) -> list[Stop]:
    """Every step of a run that is not stopped; the telling ones in the small version."""
    found = _steps(world, origin, lake)
    world.tally.notes = [f"{len({step for step, _ in found})} kinds of steps"]
    if world.full:
        # A step is taken once per partition and file: the first times, one in the middle and the last are all of its kinds.
        most = dict(found.keys())
        chosen = [(step, number) for step, number in found if number in (1, 2, most[step] // 2, most[step])]
        return [Stop(step, number, after) for step, number in chosen for after in (False, True)]
    chosen = [(step, 1) for step in dict.fromkeys(step for step, _ in found) if step.startswith("!")]
    chosen += [(step, 1) for step in TELLING if (step, 1) in found]
    return [Stop(step, number) for step, number in chosen][: 3 if lake is None else 5]


def _steps(world: World, origin: Origin, lake: Path | None) -> dict[tuple[str, int], None]:
    """Name and number of every step of a run that is not stopped, in their order."""
    log = world.file("steps")
    log.touch()
    origin.note()
    world.run(origin, lake or world.lake(), log=log, options={} if lake is None else {"force": True})
    return {(one.step, one.number): None for one in power.read(log)}


def at_random_moments(world: World) -> None:
    """SIGKILL at any moment of a run, sometimes several times in a row, while a reader looks all the time."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    origin.stir()
    origin.note()
    length = statistics.median(child.seconds_of(world.job(origin, lake, options={"force": True})) for _ in range(3))
    with watching(lake) as report:
        wanted = world.kills
        while wanted > 0:
            origin.stir()
            origin.note()
            run = child.Run(world.job(origin, lake, options={"force": world.random.random() < 0.5}))
            run.started()
            time.sleep(world.random.uniform(0, length * 1.1))
            run.kill()
            ended = run.end()
            world.ended(ended)
            truth.examine(origin, lake)
            if ended.how == "killed":
                wanted -= 1
            elif ended.how == "done":
                length *= 0.98  # it was over before: aim earlier
            if world.random.random() < 0.75 or wanted == 0:
                world.settle(origin, lake, checks=world.random.random() < 0.1 or wanted == 0)
    world.tally.looks += report[0].looks
    world.tally.notes = [
        f"DuckDB had to be asked again {report[0].again} times, when it met a file that was just replaced"
    ]
    report[0].judge(origin)


def several_at_once(world: World) -> None:
    """Two and three runs at once: one works, the others are refused with 75 or wait, as they were told."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    for _ in range(5 if world.full else 1):
        origin.stir()
        origin.note()
        at_work = Stop("ask for fingerprints", 1, True, "pause")
        with child.running(world.job(origin, lake, at_work)) as first:
            if not first.paused():
                raise BrokenPromiseError("the first of two runs ended too early")
            refused = world.run(origin, lake)
            world.refused(refused, 75, f"pid {first.pid}", "last sign of life", "--wait")
            waiting = [child.Run(world.job(origin, lake, options={"wait_seconds": 100})) for _ in range(2)]
            for run in waiting:
                run.started()
            origin.add(3)
            origin.note()
            first.go_on()
            for run in (first, *waiting):
                ended = run.end()
                world.ended(ended)
                if ended.how != "done":
                    raise BrokenPromiseError(f"a run that may wait {ended.how}: {ended.message[:300]}")
        world.compare(origin, lake)  # the waiting ones saw the rows that came meanwhile
        origin.stir()
        origin.note()
        rush = [child.Run(world.job(origin, lake, options={"force": True})) for _ in range(3)]
        ends = [run.end() for run in rush]
        for ended in ends:
            world.ended(ended)
            if ended.how != "done":
                world.refused(ended, 75)
        if not any(ended.how == "done" for ended in ends):
            raise BrokenPromiseError("of three runs at once none worked")
        truth.examine(origin, lake)
        world.settle(origin, lake)


def stale_lock(world: World) -> None:
    """A lock is broken only when its owner is gone or silent; an owner that was only asleep does not write any more."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    for _ in range(3 if world.full else 1):
        origin.stir()
        origin.note()
        # All its partitions are in their places, and the ledger is not: it would write an old one.
        renames = [number for step, number in _steps(world, origin, lake) if step == "rename to node_days"]
        at_work = Stop("rename to node_days", max(renames), True, "pause")
        with child.running(world.job(origin, lake, at_work, options={"force": True})) as asleep:
            if not asleep.paused():
                raise BrokenPromiseError("the run that was to fall asleep ended too early")
            world.refused(world.run(origin, lake, break_lock=True), 75, f"pid {asleep.pid}", "alive")
            os.kill(asleep.pid, signal.SIGSTOP)
            an_hour_ago = time.time() - 3_600
            os.utime(lake / ".lock", (an_hour_ago, an_hour_ago))
            world.refused(world.run(origin, lake), 75, "break_lock=True")
            origin.add(5)
            origin.note()
            broke = world.run(origin, lake, break_lock=True)
            if broke.how != "done":
                raise BrokenPromiseError(f"a stale lock could not be broken: {broke.message[:300]}")
            world.compare(origin, lake)
            os.kill(asleep.pid, signal.SIGCONT)
            asleep.go_on()
            woke = asleep.end()
            world.refused(woke, 75, "was broken or removed")
        world.compare(origin, lake)
        os.unlink(lake / ".lock")  # noqa: PTH108  # lost
        world.settle(origin, lake)


def power_cut(world: World) -> None:
    """The power fails: names or contents that were not synced are lost, the ledger's name perhaps not."""
    origin, lake = world.origin(), world.lake()
    world.settle(origin, lake)
    lost = 0
    stops = [Stop("rename to executions", 1, True), Stop("rename to ledger", 1, True)]
    if world.full:
        found = _stops(world, origin, lake)
        stops = [stop for stop in found if stop.after and stop.step.startswith(("make", "rename", "sync", "remove"))]
    for stop in stops:
        for kind in power.KINDS:
            origin.stir()
            origin.add(2)
            origin.note()
            before, log = world.file("before"), world.file("steps")
            power.keep_old_versions(lake, before)
            world.run(origin, lake, stop, log=log, options={"force": True})
            lost += power.lose(lake, before, log, kind)
            try:
                truth.examine(origin, lake)
            except duckdb.Error as error:
                raise BrokenPromiseError(f"after a power cut a reader fails: {error}"[:300], half=1) from error
            world.settle(origin, lake, checks=world.random.random() < 0.2)
    world.tally.notes = [f"{lost} unsynced names or contents taken away"]
    if not lost and not world.faults:
        raise BrokenPromiseError("the power cuts took nothing away: the simulation does not work")
