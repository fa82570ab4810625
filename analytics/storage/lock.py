"""The lake's lock: one run writes at a time, says who it is, and shows that it is alive.

The lock is ``flock`` on ``<lake>/.lock``; its content names the owner. The kernel releases it with the process, so a run
that was killed leaves nothing to clean up. Two cases remain in which a lock outlives its use, and only for them there is
``break_lock``: a network file system that does not notice a dead client, and an owner that hangs. So a holder touches the
file every ``HEARTBEAT``, and a lock is *stale* when its owner is provably gone (same machine, boot and process namespace,
and no such process) or when nothing has touched it for ``STALE_AFTER``.

Breaking takes the file's name away: the next run makes a new file and locks that. A holder that was only asleep finds the
name gone at its next step (``Held.ensure``, before every replacement) and stops; it cannot write over its successor.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from analytics.errors import LakeError, LakeLockedError
from analytics.storage import disk, typed_json


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock.

    Attributes:
        pid, host, command: The process, the machine it runs on, and what it runs, without options.
        since: When it took the lock, UTC, in ISO 8601.
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
        """This process, which takes a lock now."""
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
            record = typed_json.document(text)
            owner = cls(
                pid=typed_json.whole(record["pid"]),
                host=typed_json.text(record["host"]),
                command=typed_json.text(record["command"]),
                since=typed_json.text(record["since"]),
                machine=typed_json.text(record["machine"]),
                started=typed_json.whole(record["started"]),
            )
            typed_json.moment(owner.since)
        except typed_json.WRONG:
            return None
        return owner if 0 < owner.pid <= _MOST_PID else None

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
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return -1 if fields[0] == "Z" else int(fields[19])
    return 0


NAME = ".lock"
HEARTBEAT = timedelta(seconds=15)
STALE_AFTER = timedelta(minutes=10)
"""Forty heartbeats: more than a machine under load, a paused virtual machine or a network hiccup costs."""

_POLL_SECONDS = 0.2
_SECOND_LOOK_SECONDS = 1.0


class Held:
    """A lock that this process holds."""

    def __init__(self, root: Path, handle: TextIO) -> None:
        self._root, self._handle = root, handle

    def ensure(self) -> None:
        """Do nothing while the lock is ours.

        Raises:
            LakeLockedError: It was broken, or its file was taken away: another run may be writing.
        """
        if not _is_named(self._root / NAME, self._handle):
            raise LakeLockedError(
                f"the lock of the lake {self._root} was broken or removed while this run held it; it stops here",
                hint="nothing is half-written; run again, and leave the lake's file .lock to this command",
                path=str(self._root),
            )

    def touch(self) -> None:
        """Show a sign of life."""
        with contextlib.suppress(OSError):  # a full disk or a broken network must not end the thread
            os.utime(self._handle.fileno())


@contextlib.contextmanager
def hold(root: Path, wait_seconds: float = 0) -> Iterator[Held]:
    """Hold the lock of the lake in ``root``.

    Raises:
        LakeLockedError: Another run holds it, still after ``wait_seconds``; the message says who and for how long.
        LakeError: The folder cannot be written, or its file system has no locks.
    """
    deadline = time.monotonic() + wait_seconds
    with contextlib.ExitStack() as stack:
        while True:
            with contextlib.ExitStack() as attempt:
                handle = attempt.enter_context(_open(root))  # each time anew: a broken lock's file is another
                if not _try(handle, root):
                    if time.monotonic() >= deadline:
                        raise _locked(root, handle)
                    time.sleep(_POLL_SECONDS)
                elif _is_named(root / NAME, handle):
                    stack.push(attempt.pop_all())
                    break
        try:
            os.ftruncate(handle.fileno(), 0)
            os.write(handle.fileno(), json.dumps(asdict(Owner.me())).encode())
        except OSError as error:
            raise disk.failure(error, root) from error
        held = Held(root, handle)
        stop = threading.Event()
        pulse = threading.Thread(target=_pulse, args=(held, stop), name="lake-lock", daemon=True)
        pulse.start()
        try:
            yield held
        finally:
            stop.set()
            pulse.join()
            with contextlib.suppress(OSError):
                handle.truncate(0)


def break_lock(root: Path, *, stale_after: timedelta = STALE_AFTER) -> Owner | None:
    """Break a stale lock; does nothing when the lock is free.

    Args:
        root: The lake's folder, which holds the file ``.lock``.
        stale_after: How long a holder must have shown no sign of life, where it is not provably gone.

    Returns:
        Whose lock was broken; ``None`` when nobody held it, or the owner is not known by name.

    Raises:
        LakeLockedError: The lock is not stale.
    """
    if not (root / NAME).exists():
        return None
    # Breakers take turns, so that none takes away the fresh lock that followed the one it judged.
    with _turn(root), _open(root) as handle:
        if _try(handle, root):
            return None
        owner = _owner(handle)
        if owner is not None and owner.is_gone:
            # A new owner that has the lock but has not signed yet would be taken for the one before: look twice.
            time.sleep(_SECOND_LOOK_SECONDS)
            is_stale = _owner(handle) == owner
        else:
            is_stale = _silence(root, handle) >= stale_after
        if _try(handle, root):
            return None
        if not is_stale:
            raise _locked(root, handle, hint="its owner is alive, so it is not broken; wait for it")
        if _is_named(root / NAME, handle):
            (root / NAME).unlink(missing_ok=True)
        return owner


def _open(root: Path) -> TextIO:
    try:
        disk.make_folder(root)
        return (root / NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise disk.failure(error, root) from error


def _try(handle: TextIO, root: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise LakeError(
                f"the file system of the lake {root} has no locks ({error.strerror}), so two runs could not be kept apart",
                hint="put it on a local disk, or mount the network file system with locking",
                path=str(root),
            ) from error
        raise disk.failure(error, root) from error
    return True


def _is_named(path: Path, handle: TextIO) -> bool:
    """The path leads to the file that is open, not to another one that took its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except OSError:
        return False


def _owner(handle: TextIO) -> Owner | None:
    for _ in range(3):
        handle.seek(0)
        if owner := Owner.read(handle.read()):
            return owner
        time.sleep(0.01)  # it may be signing just now
    return None


def _silence(root: Path, handle: TextIO) -> timedelta:
    """How long nobody has touched the lock, by the file system's own clock: a network's clocks differ."""
    probe = root / f".clock-{os.getpid()}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
    except OSError:
        now = time.time()
    return timedelta(seconds=max(0.0, now - os.fstat(handle.fileno()).st_mtime))


def _locked(root: Path, handle: TextIO, hint: str = "") -> LakeLockedError:
    owner, silent = _owner(handle), _silence(root, handle)
    if not hint:
        hint = "wait for it, or give --wait SECONDS"
        if silent >= STALE_AFTER or (owner is not None and owner.is_gone):
            hint += "; if it hangs or is gone: --break-lock"
    return LakeLockedError(
        f"another run is writing the lake {root} ({owner or 'owner unknown'}; last sign of life {span(silent)} ago)",
        hint=hint,
        path=str(root),
        owner=owner,
        silent_seconds=silent.total_seconds(),
    )


def _pulse(held: Held, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT.total_seconds()):
        held.touch()


@contextlib.contextmanager
def _turn(root: Path) -> Iterator[None]:
    descriptor = os.open(root, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no folders; the second look is left then
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
