"""What a disk can be relied on for: names and contents that survive a power cut, and errors said in words.

A rename is atomic but not durable, and a file's content is neither. So a file is synced before it is renamed (a name must
never outlive its content), and the folder after it (or the old name comes back).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from analytics.errors import LakeError
from analytics.storage.path import LakePath

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM)
_ATTEMPTS = 20


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk itself before this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably; one that is there is left alone. Safe from several threads."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def replace(staged: Path, target: Path) -> None:
    """Put a finished file in its place with one rename, durably: its content first, then its name.

    A reader, a kill and a power cut find the old file or the new one, never a part of either.
    """
    sync(staged)
    for attempt in range(_ATTEMPTS):
        try:
            make_folder(target.parent)
            staged.replace(target)
            sync(target.parent)
            return
        except (FileNotFoundError, FileExistsError):
            # Another thread has taken the empty folder away in between (``remove``), or the staged file is gone.
            if attempt == _ATTEMPTS - 1 or not staged.exists():
                raise


def remove(target: Path, *, root: Path) -> None:
    """Take a file away, durably, and the folders above it that are empty then, up to ``root`` (exclusive)."""
    target.unlink(missing_ok=True)
    prune(target.parent, root=root)


def prune(folder: Path, *, root: Path) -> None:
    """Take away folders that are empty, from ``folder`` up to ``root`` (exclusive), and make what was removed durable."""
    while folder != root:
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass  # it went with an earlier run
        except OSError:  # not empty
            break
        folder = folder.parent
    while True:
        try:
            return sync(folder)
        except FileNotFoundError:
            # Another thread has emptied it since, and taken it away: then that is what has to last.
            if folder == root:
                raise
            folder = folder.parent


def failure(error: OSError, root: LakePath) -> LakeError:
    """What the disk refused, to which lake, and how to repair it."""
    message, hint = why(error)
    return LakeError(f"the lake {root} cannot be written: {message}", hint=hint, path=str(root), errno=error.errno)


def why(error: OSError) -> tuple[str, str]:
    """An error of the operating system as a sentence's end and the advice that repairs it."""
    name = f" ({error.filename})" if error.filename else ""
    if error.errno in _FULL:
        return (
            f"{_words(error)}: the disk, a quota or a limit on file sizes is exhausted",
            "free some space (df -h, quota, ulimit -f) and run again; partitions that were finished stay, no other was touched",
        )
    if error.errno == errno.EROFS:
        return (
            f"{_words(error)}{name}",
            "mount it for writing, or choose another folder with --lake; after a disk error the system mounts read-only by "
            "itself: see dmesg",
        )
    if error.errno in _DENIED:
        return (
            f"{_words(error)}{name}",
            "run as the owner of the lake's files, or chown them to who runs this; nothing was replaced by half",
        )
    if error.errno in (errno.EIO, errno.ESTALE):
        return (
            f"{_words(error)}{name}: the disk or its network failed",
            "see dmesg; run again when it is sound: what was finished stays, the rest is done then",
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{_words(error)}: too many open files", "raise the limit (ulimit -n) and run again"
    if isinstance(error, FileNotFoundError):
        return (
            f"{_words(error)}{name}: something else removes files in it",
            "let nothing but this command write or clean the lake's folder, and run again",
        )
    return f"{_words(error)}{name}", "check the folder's owner and free space (df -h), and run again"


def _words(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())
