"""SIGKILL to a job over a lake, at every named step of it and at random moments."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.proof import steps
from tests.proof.child import Process
from tests.proof.steps import Stop
from tests.proof.truth import BrokenPromiseError


@dataclass(frozen=True)
class Job:
    """What is killed, and what has to be true then.

    Attributes:
        template: A whole lake; never written.
        work: Called with the lake's folder; a function of a module, so that another process can find it.
        read: Called after each kill, as a reader would look.
        judge: Called after the kills; it does the work once more, and raises where something is not as it should be. Told
            whether to run the lake's checks, which take long.
    """

    template: Path
    work: Callable[[Path], object]
    read: Callable[[Path], None]
    judge: Callable[[Path, bool], None]

    def copy(self, lake: Path) -> Path:
        """A lake of its own with the same files; none is ever written in place, so links do."""
        shutil.rmtree(lake, ignore_errors=True)
        shutil.copytree(self.template, lake, copy_function=os.link)
        return lake


def digests(lake: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    files = [path for path in lake.rglob("*") if path.is_file()]
    return {str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Child(Process):
    """The work, once, in a process of its own."""

    def __init__(self, job: Job, lake: Path, stop: Stop | None = None, log: Path | None = None) -> None:
        super().__init__(_main, job.work, lake, stop, log)
        assert self.receive() == "started"

    def end(self) -> bool:
        """Wait for it; it was killed."""
        try:
            said = self.receive()
        finally:
            self.join()
            self.pipe.close()
        if said not in (None, "done"):
            raise BrokenPromiseError(said)
        return said is None


def _main(work: Callable[[Path], object], lake: Path, stop: Stop | None, log: Path | None, pipe: Connection) -> None:
    steps.install(steps.Steps(lake, stop, None, log, lambda _: None))
    pipe.send("started")
    try:
        work(lake)
    except BaseException as error:  # told to whoever waits
        pipe.send(repr(error))
    else:
        pipe.send("done")


def named_steps(job: Job, lake: Path, log: Path) -> list[Stop]:
    """Every kind of step of a run that is not stopped: the first time, one in the middle and the last, before and after."""
    log.unlink(missing_ok=True)
    Child(job, job.copy(lake), log=log).end()
    found: dict[tuple[str, bool], list[int]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        step, number, when, *_ = line.split("\t")
        found.setdefault((step, when == "after"), []).append(int(number))  # one that fails has no after
    return [
        Stop(step, number, after)
        for (step, after), numbers in found.items()
        for number in sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]})
    ]


def at(job: Job, lake: Path, stop: Stop, *, checks: bool) -> None:
    """Killed at one step."""
    if not Child(job, job.copy(lake), stop).end():
        raise BrokenPromiseError(f"the run was not killed {stop}")
    job.read(lake)
    job.judge(lake, checks)


def at_random(job: Job, lake: Path, wanted: int, chance: random.Random) -> int:
    """Killed at so many random moments, a third of them twice or more in a row; how many runs ended before."""
    Child(job, job.copy(lake)).end()
    lengths = []
    for _ in range(3):
        run = Child(job, job.copy(lake))
        begun = time.perf_counter()
        run.end()
        lengths.append(time.perf_counter() - begun)
    longest, killed, survived = sorted(lengths)[1], 0, 0
    while killed < wanted:
        job.copy(lake)
        while True:
            run = Child(job, lake)
            time.sleep(chance.uniform(0, longest))
            run.kill()
            was_killed = run.end()
            killed += was_killed
            survived += not was_killed
            job.read(lake)
            if not was_killed or killed >= wanted or chance.random() > 1 / 3:
                break
        job.judge(lake, killed % 20 == 0)
    return survived


def prove(job: Job, lake: Path, random_kills: int, seed: int) -> str:
    """Every named step, then random moments; a sentence about what was done."""
    begun = time.perf_counter()
    stops = named_steps(job, lake, lake.with_name("steps"))
    for number, stop in enumerate(stops):
        at(job, lake, stop, checks=number % 20 == 0)
    kinds = len({stop.step for stop in stops})
    survived = at_random(job, lake, random_kills, random.Random(seed))
    return (
        f"{len(stops)} kills at {kinds} kinds of steps and {random_kills} at random moments (and {survived} runs that ended before "
        f"theirs): every promise kept; {time.perf_counter() - begun:.0f} s, seed {seed}\n"
    )
