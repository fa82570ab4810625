"""Who holds a lock: a process that can be named, and found missing, on the machine it ran on."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.storage import shapes


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock.

    Attributes:
        pid, host, command: Of the process.
        since: When it took the lock, UTC.
        machine: Boot and process namespace: only where they are the same does a missing process prove anything.
        started: The process's start in clock ticks since boot, because process numbers come again; 0 where unknown.
    """

    pid: int
    host: str
    command: str
    since: str
    machine: str
    started: int

    @classmethod
    def me(cls) -> Owner:
        """This process."""
        return cls(
            pid=os.getpid(),
            host=platform.node(),
            command=_command(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=_machine(),
            started=_started(os.getpid()),
        )

    @classmethod
    def read(cls, text: str) -> Owner | None:
        """The owner a lock file names; ``None`` when it names none."""
        try:
            told = shapes.document(text)
            found = cls(**{key: kind(told[key]) for key, kind in _FIELDS.items()})
            shapes.moment(found.since)
        except shapes.WRONG:
            return None
        return found if 0 < found.pid <= _MOST_PID else None

    @property
    def age(self) -> timedelta:
        """How long it has held the lock, by this machine's clock."""
        with contextlib.suppress(ValueError):
            return max(timedelta(0), datetime.now(UTC) - datetime.fromisoformat(self.since))
        return timedelta(0)

    @property
    def is_gone(self) -> bool:
        """The process provably does not exist any more; False where that cannot be known from here."""
        if self.host != platform.node() or not self.machine or self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # another user's: it exists
        started = _started(self.pid)
        return started not in (0, self.started) and self.started != 0

    def __str__(self) -> str:
        since = self.since.replace("T", " ").replace("+00:00", " UTC")
        return f"pid {self.pid}, since {since}, {span(self.age)} ago, {self.command} on {self.host}"


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "pid": shapes.whole,
    "host": shapes.text,
    "command": shapes.text,
    "since": shapes.text,
    "machine": shapes.text,
    "started": shapes.whole,
}
_MOST_PID = (1 << 31) - 1


def span(age: timedelta) -> str:
    """A duration in the largest unit that says something."""
    seconds = int(age.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7_200:
        return f"{seconds // 60} min"
    return f"{seconds // 3_600} h"


def _command() -> str:
    """What runs, without its options: those may hold a password."""
    program = Path(sys.argv[0] or "python")
    verb = [word for word in sys.argv[1:2] if not word.startswith("-")]
    return " ".join([program.parent.name if program.name == "__main__.py" else program.name, *verb])[:80]


def _machine() -> str:
    """Boot and process namespace; empty where the system does not say."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return ""


def _started(pid: int) -> int:
    """A process's start in clock ticks since boot; 0 when it cannot be seen, -1 when it has ended and is only not buried."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return -1 if told[0] == "Z" else int(told[19])
    return 0
