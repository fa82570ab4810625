"""Where a lake lies: a folder of this machine, or a prefix of a bucket; and everything in which the two differ.

Nobody above this room asks which of the two it is: a path is a ``Path`` or an ``ObjectPath``, and the ``Storage`` it belongs to
does what differs: a ``LocalStorage``, which is below, or a ``BucketStorage``.

==================  ==============================================  ==============================================
what                on a disk                                       in a bucket
==================  ==============================================  ==============================================
what lies there     is looked up each time                          is listed once per folder, and remembered
a lock              ``flock``: goes with the process                a lease: is renewed, or lost
replacing           one rename, synced                              one PUT that names the version it replaces
files on their way  in the lake, on the same file system            in the system's folder for temporary files
moving aside        a rename                                        a copy, then a DELETE
a folder            is a thing, may be empty, or called x.parquet   is only what its objects' keys begin with
DuckDB              opens files by itself                           reads by way of ``fsspec_reader``
==================  ==============================================  ==============================================
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import timedelta
from operator import attrgetter
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

from analytics.storage import disk
from analytics.storage.lock import STALE_AFTER, Owner, break_lock, hold
from analytics.storage.path import LakePath, ObjectPath

if TYPE_CHECKING:
    import duckdb


class HeldLock(Protocol):
    """A lock that this process holds."""

    def ensure(self) -> None:
        """Do nothing while the lock is ours.

        Raises:
            LakeLockedError: It is not any more: another run may be writing.
        """


class FileSize(NamedTuple):
    """A file in a folder.

    Attributes:
        path: Where it lies.
        size: Bytes.
    """

    path: LakePath
    size: int


class Layout(Protocol):
    """Which names of a folder's tree are meant to be there. Names are those from the folder down."""

    def has_folder(self, names: tuple[str, ...]) -> bool:
        """A folder may have this place: it is looked into, whatever its name ends in."""

    def leaves_out(self, names: tuple[str, ...]) -> bool:
        """What lies in this folder is of no interest."""

    def has_file(self, names: tuple[str, ...]) -> bool:
        """A file may have this place, so its size is wanted."""


class Storage(ABC):
    """The files below one root.

    Attributes:
        root: The folder, or the place in a bucket.
        is_remote: Every look and every read is a request over a network.
        concurrent_reads: Files that are best read side by side.
    """

    is_remote: ClassVar[bool]
    concurrent_reads: ClassVar[int]

    def __init__(self, root: LakePath) -> None:
        self.root = root
        self._prefix = str(root / "_")[:-1]
        self._held: HeldLock | None = None

    @property
    @abstractmethod
    def local_root(self) -> Path | None:
        """The root where it is a folder of this machine; ``None`` in a bucket."""

    # ---- what lies there -------------------------------------------------------------------------------------------

    @abstractmethod
    def path(self, name: str) -> LakePath:
        """The path whose text is ``name``."""

    @abstractmethod
    def is_file(self, name: str) -> bool:
        """There is a file; by its path as text, for tens of thousands of them."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file, by its path as text; 0 where there is none."""

    @abstractmethod
    def list_ahead(self, folder: str) -> None:
        """Before much of a folder (named from the root) is asked for: one listing may answer all of it."""

    @abstractmethod
    def refresh(self) -> None:
        """Forget what is remembered of what lies there: other runs may have changed it."""

    @abstractmethod
    def names(self, folder: LakePath) -> list[str]:
        """Names directly in a folder, in no order; none where there is no such folder."""

    @abstractmethod
    def files(self, folder: LakePath) -> Iterator[FileSize]:
        """Plain files directly in a folder; none where there is no such folder."""

    @abstractmethod
    def files_below(self, folder: LakePath) -> Iterator[LakePath]:
        """Plain files in a folder and its folders, by name."""

    @abstractmethod
    def parquet_files(self, folder: str, layout: Layout) -> Iterator[tuple[str, int | None]]:
        """What a glob for ``**/*.parquet`` below a folder (named from the root) reads, and what has a place in the layout.

        Returns:
            Paths as text, by name. A size where a plain file has a place in the layout, ``None`` for everything else.
        """

    @abstractmethod
    def identity(self, name: str, known: str = "") -> str | None:
        """What tells a file from every other that may come to lie under its name; ``None`` where there is none.

        Args:
            name: Its path as text.
            known: What was returned for it before: its content need not be read once more where it is plainly the same.
        """

    @abstractmethod
    def names_from_root(self, path: LakePath) -> PurePath:
        """The way to a path from the root."""

    # ---- reading with DuckDB ---------------------------------------------------------------------------------------

    @abstractmethod
    def allow(self, connection: duckdb.DuckDBPyConnection) -> str:
        """Make the root readable for a connection.

        Returns:
            What ``allowed_directories`` calls it. It has an end: "lake/executions" must not allow "lake/executions-of-others".
        """

    @abstractmethod
    def read_failure(self) -> Exception | None:
        """What kept DuckDB from reading a piece of a file since this was asked last; ``None`` where it says so itself."""

    # ---- the lock --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, wait_seconds: float = 0) -> Iterator[None]:
        """Hold the lock of the lake here.

        Raises:
            LakeLockedError: Another run holds it, still after ``wait_seconds``.
        """
        with self._hold(wait_seconds) as held:
            self._held = held
            self.refresh()
            try:
                yield
            finally:
                self._held = None

    def ensure_held(self) -> None:
        """Do nothing while the lock is ours, or was never taken.

        Raises:
            LakeLockedError: It was lost: another run may be writing.
        """
        if self._held:
            self._held.ensure()

    @abstractmethod
    def break_lock(self, *, stale_after: timedelta = STALE_AFTER) -> Owner | None:
        """Break the lock of a run that is provably gone, or has shown no sign of life for ``stale_after``.

        Returns:
            Whose it was; ``None`` when nobody held it, or the owner is unknown.

        Raises:
            LakeLockedError: Its owner is alive.
        """

    @abstractmethod
    def _hold(self, wait_seconds: float) -> contextlib.AbstractContextManager[HeldLock]: ...

    # ---- writing ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def workspace(self, small_files: str) -> contextlib.AbstractContextManager[Path]:
        """A private folder of this machine for files on their way; gone afterwards. Only under the lock.

        Args:
            small_files: The folder (named from the root) that ``write_text`` may have left something unfinished in.
        """

    @abstractmethod
    def replace(self, staged: Path, target: LakePath) -> None:
        """Put a finished file in its place, whole and durably, and take ``staged`` away. Several threads may do so at once.

        Raises:
            LakeLockedError: The lock was lost: another run may be writing.
        """

    @abstractmethod
    def write_text(self, target: LakePath, text: str) -> None:
        """Write a small file, whole and durably.

        Raises:
            LakeLockedError: The lock was lost: another run may be writing.
        """

    @abstractmethod
    def remove(self, target: LakePath) -> None:
        """Take a file away, and its folders when they are empty; nothing where there is none.

        Raises:
            LakeLockedError: The lock was lost: another run may be writing.
        """

    @abstractmethod
    def move_aside(self, path: LakePath, target: LakePath) -> None:
        """Give a file another place below the root, and take its folders away when they are empty."""


def is_same_file(known: str, now: str | None) -> bool:
    """Two answers of ``Storage.identity`` are of one file: by what the system says of it, or by all that is in it."""
    return now is not None and (known == now or (known.count("-") == now.count("-") == 3 and known[-32:] == now[-32:]))


def is_parquet(name: str) -> bool:
    """A glob for Parquet files on a file system that ignores case matches it."""
    return name.lower().endswith(".parquet")


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
            for leftover in (
                *root.glob("*.json.*.tmp"),
                *(root / small_files).glob("*.json*.tmp"),
            ):  # of earlier versions
                if leftover.is_file():
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
        """Where the next run clears what a killed one has left, then as ``replace`` does."""
        place, base = _local(target), self.local_root / ".tmp"
        staged = base / f"{place.name}.{os.getpid()}.tmp"
        try:
            disk.make_folder(place.parent)
            base.mkdir(exist_ok=True)
            staged.write_text(text, encoding="utf-8")
            self.replace(staged, place)
        finally:
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)
                base.rmdir()  # where no workspace is open

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


def _entries(folder: str | Path, is_wanted: Callable[[str], bool] | None = None) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            wanted = entries if is_wanted is None else (entry for entry in entries if is_wanted(entry.name))
            return sorted(wanted, key=attrgetter("name"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _list_parquet_files(
    listed: list[tuple[str, int | None]], folder: str, above: tuple[str, ...], layout: Layout
) -> None:
    """Into a list: a generator in each of 60,000 folders takes longer."""
    for entry in _entries(folder, lambda name: not layout.leaves_out((*above, name))):
        names = (*above, entry.name)
        if entry.is_dir(follow_symlinks=False) and (not is_parquet(entry.name) or layout.has_folder(names)):
            _list_parquet_files(listed, entry.path, names, layout)
        elif layout.has_file(names) and entry.is_file(follow_symlinks=False):
            listed.append((entry.path, entry.stat(follow_symlinks=False).st_size))
        elif is_parquet(entry.name):
            listed.append((entry.path, None))
