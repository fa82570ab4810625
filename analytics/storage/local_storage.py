"""A lake's files in a folder of this machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from operator import attrgetter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from analytics.storage import disk
from analytics.storage.lock import STALE_AFTER, Owner, break_lock, hold
from analytics.storage.path import LakePath, ObjectPath
from analytics.storage.storage import FileSize, HeldLock, Layout, Storage, is_parquet

if TYPE_CHECKING:
    import duckdb


class LocalStorage(Storage):
    """A folder of this machine."""

    is_remote = False
    concurrent_reads = 2

    @property
    def local_root(self) -> Path:
        """The root."""
        return _local(self.root)

    def path(self, name: str) -> Path:
        """The name as a path."""
        return Path(name)

    def is_file(self, name: str) -> bool:
        """As the disk says; not by a Path, because one for each of 60,000 takes three times as long."""
        return os.path.isfile(name)  # noqa: PTH113

    def size(self, name: str) -> int:
        """As the disk says."""
        try:
            return os.stat(name).st_size  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def list_ahead(self, folder: str) -> None:
        """Nothing: a look at a disk costs next to nothing."""

    def refresh(self) -> None:
        """Nothing: nothing is remembered."""

    def names(self, folder: LakePath) -> list[str]:
        """Files and folders."""
        try:
            return os.listdir(_local(folder))  # noqa: PTH208  # nothing but the names
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, folder: LakePath) -> Iterator[FileSize]:
        """Without links."""
        for entry in _entries(_local(folder)):
            with contextlib.suppress(FileNotFoundError):  # a run may be replacing it
                if entry.is_file(follow_symlinks=False):
                    yield FileSize(Path(entry.path), entry.stat(follow_symlinks=False).st_size)

    def files_below(self, folder: LakePath) -> Iterator[LakePath]:
        """Without links."""
        yield from sorted(path for path in _local(folder).rglob("*") if path.is_file() and not path.is_symlink())

    def parquet_files(self, folder: str, layout: Layout) -> Iterator[tuple[str, int | None]]:
        """A glob reads links too, and takes a folder called x.parquet for a file, unless the layout has a folder there."""
        listed: list[tuple[str, int | None]] = []
        _list_parquet_files(listed, f"{self._prefix}{folder}", (), layout)
        return iter(listed)

    def identity(self, name: str, known: str = "") -> str | None:
        """Its size, number and time of change, and what is in it; without the last where that cannot be read."""
        try:
            about = os.stat(name)  # noqa: PTH116
        except FileNotFoundError:
            return None
        # A copy can be given an old time of modification; when the inode was changed is the system's own.
        mark = f"{about.st_size}-{about.st_ino}-{about.st_ctime_ns}"
        if known.startswith(f"{mark}-"):
            return known
        try:
            # It is another file, or the same one in a lake that was copied or given to another owner.
            with Path(name).open("rb") as file:
                return f"{mark}-{hashlib.file_digest(file, 'sha256').hexdigest()[:32]}"
        except FileNotFoundError:
            return None
        except OSError:
            return mark

    def names_from_root(self, path: LakePath) -> PurePath:
        """By the paths' own words: links are not followed."""
        return _local(path).relative_to(self.local_root)

    def allow(self, connection: duckdb.DuckDBPyConnection) -> str:  # noqa: ARG002
        """It is absolute; DuckDB opens files by itself."""
        return os.path.join(os.path.abspath(self.local_root), "")  # noqa: PTH100, PTH118

    def read_failure(self) -> None:
        """DuckDB says so itself."""
        return

    def break_lock(self, *, stale_after: timedelta = STALE_AFTER) -> Owner | None:
        """See ``analytics.storage.lock``."""
        return break_lock(self.local_root, stale_after=stale_after)

    def _hold(self, wait_seconds: float) -> contextlib.AbstractContextManager[HeldLock]:
        return hold(self.local_root, wait_seconds)

    @contextlib.contextmanager
    def workspace(self, small_files: str) -> Iterator[Path]:
        """It is inside the root, on the same file system, so a rename out of it is atomic; leftovers of killed runs are removed."""
        root = self.local_root
        base = root / ".tmp"
        shutil.rmtree(base, ignore_errors=True)
        folder = base / f"run-{os.getpid()}"
        try:
            for leftover in (root / small_files).glob("*.tmp"):
                leftover.unlink(missing_ok=True)
            folder.mkdir(parents=True)
            yield folder
        except OSError as error:
            self.ensure_held()  # whoever broke the lock has cleaned up: that is what happened, and not a missing file
            raise disk.failure(error, root) from error
        finally:
            shutil.rmtree(base, ignore_errors=True)

    def replace(self, staged: Path, target: LakePath) -> None:
        """One rename: the content is synced first, then the name."""
        self.ensure_held()
        disk.replace(staged, _local(target))

    def write_text(self, target: LakePath, text: str) -> None:
        """Beside its place first, then as ``replace`` does."""
        place = _local(target)
        staged = place.with_name(f"{place.name}.{os.getpid()}.tmp")
        try:
            disk.make_folder(place.parent)
            staged.write_text(text, encoding="utf-8")
            self.replace(staged, place)
        finally:
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)

    def remove(self, target: LakePath) -> None:
        """The file, then each folder that is empty, up to the root."""
        self.ensure_held()
        disk.remove(_local(target), root=self.local_root)

    def move_aside(self, path: LakePath, target: LakePath) -> None:
        """One rename, made durable."""
        place = _local(target)
        disk.make_folder(place.parent)
        _local(path).rename(place)
        disk.sync(place.parent)
        disk.prune(_local(path).parent, root=self.local_root)


def _local(path: LakePath) -> Path:
    if isinstance(path, ObjectPath):
        raise TypeError(f"{path} is not on this machine")
    return path


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=attrgetter("name"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _list_parquet_files(
    listed: list[tuple[str, int | None]], folder: str, above: tuple[str, ...], layout: Layout
) -> None:
    """Into a list: a generator in each of 60,000 folders takes longer."""
    for entry in _entries(folder):
        names = (*above, entry.name)
        if entry.is_dir(follow_symlinks=False) and (not is_parquet(entry.name) or layout.has_folder(names)):
            if not layout.leaves_out(names):
                _list_parquet_files(listed, entry.path, names, layout)
        elif layout.has_file(names) and entry.is_file(follow_symlinks=False):
            listed.append((entry.path, entry.stat(follow_symlinks=False).st_size))
        elif is_parquet(entry.name):
            listed.append((entry.path, None))
