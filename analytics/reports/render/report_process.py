"""One report in a process of its own, as whoever waits for it sees it.

A report that takes all memory, hangs or crashes takes nobody else with it. Whoever waits needs none of what a report needs, and
can still say what became of it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any, Self

from analytics.config import child_environment
from analytics.errors import AnalyticsError, ReportError, class_of
from analytics.reports.render import steps
from analytics.reports.render.plan import Plan
from analytics.storage import scratch

LET_GO_SECONDS = 10.0
"""For taking away what a report that is stopped has made so far, and its kernel."""
STOPPED = 130
"""Exit code: it was asked to end."""
FAILED = 3
"""Exit code: the failure is published."""
REFUSED = 2
"""Exit code: it cannot be made as asked; nothing is published."""
ANSWER, HALF_RUN = "answer.json", "report.ipynb"
"""Files of the folder that both processes know: the error, and the notebook as far as it came."""

NUMBER = struct.Struct("!q")
"""How `analytics.reports.render.warm` writes a process's number, and its exit code."""

_LAST_WORDS = 400
_POLL_SECONDS = 0.5
_BEGIN_SECONDS = 60.0
"""For importing and forking, which takes one or two."""
_MEMORY = (
    "9 is how a system out of memory ends a process (journalctl -k tells): give it more, a shorter window or one tenant, "
    "or --jobs 1"
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a report's process ended.

    Attributes:
        code: Its exit code, negative for a signal; None when its time was over.
        words: The last that it wrote to stderr; empty for nothing.
        error: What it has refused or failed with; None where it could not say.
    """

    code: int | None
    words: str
    error: AnalyticsError | None

    @property
    def is_asked(self) -> bool:
        """It was asked to end, and did; before it could have let go of anything, as any process does."""
        return self.code in (STOPPED, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)

    def failure(self, limit_seconds: float | None) -> ReportError:
        """What happened, where the process could not tell itself.

        Args:
            limit_seconds: How long it was given; None where somebody else has stopped it.
        """
        # systemd asks every process of a unit to end.
        if self.is_asked or (self.code is None and limit_seconds is None):
            return ReportError("the run was interrupted", hint="run it again")
        if self.code is None:
            return ReportError(
                f"the report was stopped after {(limit_seconds or 0) / 60:g} minutes",
                hint="give it more (timeout_minutes), a shorter window, or one tenant at a time",
            )
        if self.code < 0:
            return ReportError(
                f"the report's process was killed by signal {-self.code}", hint=_MEMORY if self.code == -9 else ""
            )
        words = f": {self.words}" if self.words else ""
        return ReportError(f"the report's process ended with exit code {self.code}{words}")


def run(
    planned: Plan,
    folder: Path,
    *,
    limit_seconds: float | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    tell: Callable[[str], object] | None = None,
    warm: Warm | None = None,
) -> Ended:
    """Render a report in a process of its own, and wait for it.

    Args:
        planned: What is rendered.
        folder: For all that it leaves behind; the caller's, who takes it away.
        limit_seconds: After which it is ended; None for no limit.
        is_stopped: Asked now and then: nobody wants it any more.
        tell: Told each line that it writes to stderr.
        warm: Where it begins with what it needs already imported.
    """
    limit = float("inf") if limit_seconds is None else time.monotonic() + limit_seconds
    task = {
        "plan": planned.to_json(),
        "folder": str(folder),
        "log_level": logging.getLogger("analytics").level,
        "steps": tell is not None and steps.are_wanted(),
        "environment": _private(folder),
    }
    child: _Forked | subprocess.Popen[str] | None = warm.fork(is_stopped) if warm else None
    if child is None and is_stopped():
        return Ended(None, "", None)
    child = child or _start(folder)
    words = _Words(child.stderr, tell)
    code: int | None = None
    try:
        assert child.stdin is not None  # noqa: S101  # a pipe was asked for
        child.stdin.write(json.dumps(task) + "\n")
        child.stdin.flush()
        while (code := child.poll()) is None and time.monotonic() < limit and not is_stopped():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(min(_POLL_SECONDS, max(0.01, limit - time.monotonic())))
    except BrokenPipeError:
        code = child.wait()
    finally:
        # It ends when its input does, and takes its kernel and its unfinished pages with it.
        if child.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LET_GO_SECONDS)
        child.kill()
        child.wait()
        words.end()
    return Ended(code, words.last, _answer(folder))


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # our own words
        _words_of("analytics.reports.render.worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for whoever waits: while this one imports, it would answer with a traceback
        encoding="utf-8",
        errors="replace",
        env=child_environment(_package(), **_private(folder)),
    )


def _words_of(module: str) -> list[str]:
    # Without the working folder among the places of modules: whoever may write there would be run.
    return [sys.executable, "-P", "-m", module]


def _package() -> Path:
    return Path(str(resources.files("analytics"))).parent


class Warm:
    """Where the processes of many reports come from: each is forked from one that has imported what reports need.

    Only where forking is safe for the libraries that a report uses, which is not so on macOS; else each is started.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._folder: scratch.Claimed | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._channel is not None:
            self._channel.close()  # it ends when nobody can ask any more
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_POLL_SECONDS)
            self._process.kill()  # it was importing still; no report is left
            self._process.wait()
        if self._folder is not None:
            self._folder.release()

    def fork(self, is_stopped: Callable[[], bool] = lambda: False) -> _Forked | None:
        """A process as `analytics.reports.render.worker` begins; None where there is no way to fork one.

        Args:
            is_stopped: Asked now and then: nobody wants it any more.
        """
        if sys.platform != "linux":
            return None
        with self._turn:
            if self._channel is None:
                self._channel = self._begin()
            stdin, stderr, status = os.pipe(), os.pipe(), os.pipe()
            given = (stdin[0], stderr[1], status[1])
            try:
                socket.send_fds(self._channel, [b"+"], given)
            except OSError:  # it was killed
                for descriptor in (stdin[1], stderr[0], status[0]):
                    os.close(descriptor)
                return None
            finally:
                for descriptor in given:
                    os.close(descriptor)
        forked = _Forked(stdin[1], stderr[0], status[0])
        return forked if forked.has_begun(is_stopped) else None

    def _begin(self) -> socket.socket:
        private = {}
        with contextlib.suppress(OSError):  # a container may have no folder for temporary files
            self._folder = scratch.claim()
            private = _private(self._folder.path)  # what is imported may leave something there
        channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own words
                _words_of("analytics.reports.render.warm"),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # what keeps it from its work is told by a report that is started instead
                env=child_environment(_package(), **private),
            )
        return channel


class _Forked:
    """A process that was forked elsewhere, with what is used here of ``subprocess.Popen``."""

    def __init__(self, stdin: int, stderr: int, status: int) -> None:
        self.stdin: IO[str] = open(stdin, "w", encoding="utf-8")  # noqa: SIM115  # closed by whoever waits
        self.stderr: IO[str] = open(stderr, encoding="utf-8", errors="replace")  # noqa: SIM115
        self._status: IO[bytes] = open(status, "rb", buffering=0)  # noqa: SIM115
        self._told = select.poll()
        self._told.register(status, select.POLLIN)
        self._number: int | None = None
        self._code: int | None = None

    def has_begun(self, is_stopped: Callable[[], bool]) -> bool:
        """Wait until it is there; where whoever was to fork it has ended, or does not answer, it never will be."""
        limit = time.monotonic() + _BEGIN_SECONDS
        while not (told := self._told.poll(1000 * _POLL_SECONDS)) and time.monotonic() < limit and not is_stopped():
            pass
        if told:
            self._hear()
        if self._number is None:
            for held in (self.stdin, self.stderr, self._status):
                held.close()
        return self._number is not None

    def poll(self) -> int | None:
        """The exit code, once it has ended."""
        return self._read(0)

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended."""
        code = self._read(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a report", timeout or 0)
        return code

    def kill(self) -> None:
        """End it, if it has not."""
        if self._read(0) is None:
            self._kill()

    def _kill(self) -> None:
        if self._number is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._number, signal.SIGKILL)

    def _read(self, timeout: float | None) -> int | None:
        while self._code is None and self._told.poll(None if timeout is None else 1000 * timeout):
            self._hear()
        if self._code is not None:
            self._status.close()
        return self._code

    def _hear(self) -> None:
        told = self._status.read(NUMBER.size) or b""
        if len(told) < NUMBER.size:  # whoever would tell was killed: the report may not be published behind our back
            self._code = -signal.SIGKILL
            self._kill()
        elif self._number is None:
            (self._number,) = NUMBER.unpack(told)
        else:
            (self._code,) = NUMBER.unpack(told)


def _private(folder: Path) -> dict[str, str]:
    """Variables for a process that is to write into this folder alone, whatever it takes for its own."""
    return {"TMPDIR": str(folder), "IPYTHONDIR": str(folder / "ipython")}


class _Words:
    """What a process writes to stderr, line by line."""

    def __init__(self, stream: IO[str] | None, tell: Callable[[str], object] | None) -> None:
        self.last = ""
        self._stream, self._tell = stream, tell
        self._thread = threading.Thread(target=self._read, name="words", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream or ():
            if line.strip() and not line.startswith(steps.MARK):
                self.last = line.strip()[:_LAST_WORDS]
            if self._tell:
                self._tell(line.rstrip("\n"))

    def end(self) -> None:
        """Until all is read; whoever has inherited the pipe may hold it open for longer."""
        self._thread.join(1)
        if self._stream is not None and not self._thread.is_alive():
            self._stream.close()


def answer(folder: Path, error: AnalyticsError) -> None:
    """Leave an error for the process that waits."""
    facts = {name: value for name, value in error.facts.items() if _is_plain(value)}
    if isinstance(page := error.facts.get("page"), Path):
        facts["page"] = str(page)
    told = {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "facts": facts}
    (folder / ANSWER).write_text(json.dumps(told), encoding="utf-8")


def _is_plain(value: object) -> bool:
    """Whether JSON has the value; a list of our own objects stays with the process that made it."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def _answer(folder: Path) -> AnalyticsError | None:
    try:
        told: Any = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
        kind, facts = class_of(told["kind"]) or ReportError, told["facts"]
        if "page" in facts:
            facts["page"] = Path(facts["page"])
        return kind(told["message"], hint=told["hint"], **facts)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it was ended before it could say anything, or in the midst of it


def folder(out: Path) -> contextlib.AbstractContextManager[Path]:
    """A folder for a report's process, gone with all that it has left there, however it ended."""
    return scratch.folder(otherwise=out)
