"""Folders for a while: private, gone with whoever made them, and cleared by the next run where that was killed.

Whoever claims a folder holds ``flock`` on it. The kernel releases that with the process, however it ended, so a folder that
nobody holds is left over. It gets its name only when it is held: nobody takes one away that is just being made.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PREFIX = "strategy-analytics-run-"
"""Of folders below the system's one for temporary files."""
_BEING_MADE = ".claiming-"
_ABANDONED_SECONDS = 24 * 3600.0
"""Where a file system has no locks."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A folder that is held.

    Attributes:
        path: Where it is; only its owner may look into it.
        descriptor: Holds the lock.
    """

    path: Path
    descriptor: int

    def release(self) -> None:
        """Take it away; once."""
        if _HELD.pop(self.descriptor, None) is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self.descriptor)


_HELD: dict[int, Claimed] = {}
"""By descriptor."""


def let_go() -> None:
    """Take away all that this process holds: it ends without coming back to where it does so itself."""
    for claimed in list(_HELD.values()):
        claimed.release()


def claim(parent: Path | None = None, prefix: str = PREFIX) -> Claimed:
    """Make a private folder; what killed runs left beside it is cleared first.

    Args:
        parent: Where; the system's folder for temporary files when not given.
        prefix: What its name begins with, and those of earlier runs that are cleared.

    Raises:
        OSError: It cannot be made, or the system has no folder for temporary files.
    """
    if parent is None:
        parent = Path(tempfile.gettempdir())
        _sweep_once(parent)
    else:
        sweep(parent, prefix)
    made = Path(tempfile.mkdtemp(prefix=_BEING_MADE, dir=parent))
    descriptor = os.open(made, os.O_RDONLY)
    with contextlib.suppress(OSError):  # no locks there: then its age tells
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path = made.rename(parent / f"{prefix}{made.name.removeprefix(_BEING_MADE)}")
    claimed = _HELD[descriptor] = Claimed(path, descriptor)
    return claimed


@contextlib.contextmanager
def folder(parent: Path | None = None, *, otherwise: Path | None = None) -> Iterator[Path]:
    """A private folder, gone afterwards, whatever happens.

    Args:
        parent: Where, under a name that begins with a dot; the system's folder for temporary files when not given.
        otherwise: Where, if not there: a container may have no folder for temporary files.
    """
    try:
        claimed = claim(parent, f".{PREFIX}") if parent else claim()
    except OSError:
        if otherwise is None:
            raise
        claimed = claim(otherwise, f".{PREFIX}")
    try:
        yield claimed.path
    finally:
        claimed.release()


def sweep(parent: Path, prefix: str = PREFIX) -> None:
    """Take away the folders of killed runs: those of this name, of this user, that nobody holds."""
    for folder in [*parent.glob(f"{prefix}*"), *parent.glob(f"{_BEING_MADE}*")]:
        with contextlib.suppress(OSError):  # another run may be sweeping too
            about = folder.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                continue
            is_old = time.time() - about.st_ctime > _ABANDONED_SECONDS
            if is_old or (folder.name.startswith(prefix) and not _is_held(folder)):
                shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _sweep_once(parent: Path) -> None:
    sweep(parent)


def _is_held(path: Path) -> bool:
    """Somebody works in it, or that cannot be known."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
