"""One extraction in a process of its own, which can be stopped at a step, killed, and given a defect."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from . import faults, steps
from .forking import CONTEXT
from .steps import Stop

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Job:
    """What a child does.

    Attributes:
        url, lake, since, until: Of the extraction.
        options: More of its arguments.
        faults: Planted defects.
        stop: Where to stop.
        log: File for the steps.
        file_limit: Largest file it may write, bytes.
        break_lock: Break a stale lock first.
        block_bytes: Size of the blocks that rows arrive in, where a few rows are to be many blocks.
    """

    url: str
    lake: Path
    since: str
    until: str
    options: dict[str, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    stop: Stop | None = None
    log: Path | None = None
    file_limit: int | None = None
    break_lock: bool = False
    block_bytes: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        how: ``done``, ``failed`` (an error of the package's own tree), ``crashed`` (any other) or ``killed``.
        kind: The error's class.
        exit_code: What the command would have given.
        message: The error, or a traceback.
        result: What ``ExtractResult.to_dict`` says.
        last_step: What it did last, where it was killed.
    """

    how: str
    kind: str = ""
    exit_code: int = 0
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    last_step: str = ""


class Process:
    """Work in a process of its own, which can be killed and says through a pipe how far it is.

    Args:
        work: A function of a module, so that the other process can find it; its last argument is the pipe.
        arguments: Its others.
    """

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=work, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid or 0

    def kill(self) -> None:
        """SIGKILL, now."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def receive(self) -> Any:
        """What it says next; None when it has ended without a word.

        Raises:
            TimeoutError: It says nothing and does not end; it is killed.
        """
        if not self.pipe.poll(PATIENCE_SECONDS):
            self.kill()
            raise TimeoutError(f"a run did nothing for {PATIENCE_SECONDS} s")
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            return None

    def join(self) -> None:
        """Wait until it is gone."""
        self._process.join(PATIENCE_SECONDS)


class Run(Process):
    """A child that is running."""

    def __init__(self, job: Job) -> None:
        descriptor, name = tempfile.mkstemp(prefix="strategy-analytics-proof-")
        os.ftruncate(descriptor, steps.PROGRESS_BYTES)
        os.close(descriptor)
        self.progress = Path(name)
        super().__init__(_main, job, self.progress)

    def started(self) -> None:
        """Wait until it begins to extract."""
        assert self._receive() == ("started", None)

    def paused(self) -> bool:
        """Wait until it stands at its stop; False when it ended without getting there."""
        while True:
            message = self._receive(keep=True)
            if message is None or message[0] in ("done", "failed", "crashed"):
                return False
            self._kept = None
            if message[0] == "paused":
                return True

    def go_on(self) -> None:
        """Let it leave its stop."""
        with contextlib.suppress(OSError):
            self.pipe.send("go on")

    def end(self) -> Ended:
        """Wait until it has ended."""
        try:
            while True:
                message = self._receive()
                if message is None:
                    last = self.progress.read_bytes().split(b"\0", 1)[0].decode()
                    return Ended("killed", last_step=last or "before the first step")
                if message[0] in ("done", "failed", "crashed"):
                    return Ended(message[0], **message[1])
        finally:
            self.join()
            self.pipe.close()
            self.progress.unlink(missing_ok=True)

    _kept: Any = None

    def _receive(self, *, keep: bool = False) -> Any:
        message = self.receive() if self._kept is None else self._kept
        self._kept = message if keep else None
        return message


def run(job: Job) -> Ended:
    """A child from its start to its end."""
    return Run(job).end()


@contextlib.contextmanager
def running(job: Job) -> Iterator[Run]:
    """A child that does not outlive the block."""
    child = Run(job)
    try:
        yield child
    finally:
        child.kill()
        child.join()
        child.progress.unlink(missing_ok=True)


def _main(job: Job, progress: Path, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for as long as it lives

    def pause(where: str) -> None:
        pipe.send(("paused", where))
        pipe.recv()

    from analytics.errors import AnalyticsError
    from analytics.estimates.sampling_rates import Rates
    from analytics.lake.lake import Lake
    from analytics.source import connection, copy_stream
    from analytics.window import Window
    from tests.extracting import extract

    connection.FIRST_PAUSE = 0.1  # the pauses are real, only shorter
    if job.block_bytes is not None:
        copy_stream.BLOCK_BYTES = job.block_bytes
    if job.file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (job.file_limit, job.file_limit))
    watched = steps.Steps(job.lake, job.stop, progress, job.log, pause)
    steps.install(watched)
    options = {"rates": Rates((), 0.05), **job.options}
    for name in job.faults:
        faults.plant(name, watched, options)
    pipe.send(("started", None))
    try:
        if job.break_lock:
            Lake(job.lake).break_lock()
        result = extract(job.url, Lake(job.lake), Window.parse(job.since, job.until), **options)
    except AnalyticsError as error:
        pipe.send(("failed", {"kind": type(error).__name__, "exit_code": error.exit_code, "message": str(error)}))
    except BaseException as error:
        pipe.send(("crashed", {"kind": type(error).__name__, "exit_code": 1, "message": traceback.format_exc()}))
    else:
        pipe.send(("done", {"result": result.to_dict()}))
    pipe.close()


def seconds_of(job: Job) -> float:
    """How long a run takes from its start to its end."""
    child = Run(job)
    child.started()
    start = time.perf_counter()
    child.end()
    return time.perf_counter() - start
