"""A lake's files below a prefix of a bucket."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from analytics.storage import disk, scratch
from analytics.storage.lease import break_lease, hold_lease
from analytics.storage.lock import STALE_AFTER, Owner
from analytics.storage.path import LakePath, ObjectPath
from analytics.storage.storage import FileSize, HeldLock, Layout, Storage, is_parquet

if TYPE_CHECKING:
    import duckdb


class BucketStorage(Storage):
    """A prefix of a bucket.

    Attributes:
        bucket: The objects below it, with what is remembered of them.
    """

    is_remote = True
    concurrent_reads = 16

    def __init__(self, root: ObjectPath) -> None:
        super().__init__(root)
        self.bucket = root.bucket

    @property
    def local_root(self) -> None:
        """It is not on this machine."""
        return

    def path(self, name: str) -> ObjectPath:
        """The object with that address."""
        return ObjectPath(self.bucket, self._key(name))

    def is_file(self, name: str) -> bool:
        """A listing tells; thousands that are gone are not asked for one by one."""
        return self.bucket.listed(self._key(name)) is not None

    def size(self, name: str) -> int:
        """A listing tells, which is asked for once for tens of thousands."""
        entry = self.bucket.listed(self._key(name))
        return entry.size if entry else 0

    def list_ahead(self, folder: str) -> None:
        """One listing for all tenants."""
        self.bucket.names(_remote(self.root / folder).key)

    def refresh(self) -> None:
        """Forget the listings."""
        self.bucket.refresh()

    def names(self, folder: LakePath) -> list[str]:
        """By a listing."""
        return [name for name, _ in _remote(folder).children()]

    def files(self, folder: LakePath) -> Iterator[FileSize]:
        """By a listing."""
        for name, is_folder in _remote(folder).children():
            if not is_folder:
                yield FileSize(folder / name, (folder / name).stat().st_size)

    def files_below(self, folder: LakePath) -> Iterator[LakePath]:
        """By a listing."""
        for key, _ in self.bucket.below(_remote(folder).key):
            yield ObjectPath(self.bucket, key)

    def parquet_files(self, folder: str, layout: Layout) -> Iterator[tuple[str, int | None]]:
        """There are no folders to be taken for files: only objects."""
        start = _remote(self.root / folder).key
        for key, entry in self.bucket.below(start):
            names = tuple(key.removeprefix(f"{start}/").split("/"))
            if any(layout.leaves_out(names[:end]) for end in range(1, len(names))):
                continue
            if layout.has_file(names):
                yield f"{self.bucket.url}/{key}", entry.size
            elif is_parquet(key):
                yield f"{self.bucket.url}/{key}", None

    def identity(self, name: str, known: str = "") -> str | None:  # noqa: ARG002  # a version of an object needs no reading
        """Its size and version."""
        try:
            about = self.path(name).stat()
        except FileNotFoundError:
            return None
        return f"{about.st_size}-{about.st_ino}"

    def names_from_root(self, path: LakePath) -> PurePath:
        """By the keys."""
        return _remote(path).relative_to(_remote(self.root))

    def allow(self, connection: duckdb.DuckDBPyConnection) -> str:
        """DuckDB is given a file system that reads nothing but this bucket's prefix."""
        from analytics.storage.fsspec_reader import BucketFiles

        if not connection.filesystem_is_registered(
            BucketFiles.protocol
        ):  # a lake lies in one bucket, its tables share it
            connection.register_filesystem(BucketFiles(self.bucket))
        return f"{self.root}/"

    def read_failure(self) -> Exception | None:
        """DuckDB tells only the text of what its file system raised."""
        return self.bucket.read_failure()

    def break_lock(self, *, stale_after: timedelta = STALE_AFTER) -> Owner | None:
        """See ``analytics.storage.lease``."""
        return break_lease(self.bucket, stale_after=stale_after)

    def _hold(self, wait_seconds: float) -> contextlib.AbstractContextManager[HeldLock]:
        return hold_lease(self.bucket, wait_seconds)

    @contextlib.contextmanager
    def workspace(self, small_files: str) -> Iterator[Path]:  # noqa: ARG002  # one PUT leaves nothing unfinished
        """It is below the system's folder for temporary files (``TMPDIR``)."""
        with scratch.folder() as private:
            try:
                yield private
            except OSError as error:
                raise disk.failure(error, private) from error

    def replace(self, staged: Path, target: LakePath) -> None:
        """One PUT."""
        self.ensure_held()
        self.bucket.put(_remote(target).key, staged)
        staged.unlink()

    def write_text(self, target: LakePath, text: str) -> None:
        """One PUT."""
        self.ensure_held()
        self.bucket.put(_remote(target).key, text.encode())

    def remove(self, target: LakePath) -> None:
        """One DELETE."""
        self.ensure_held()
        self.bucket.remove(_remote(target).key)

    def move_aside(self, path: LakePath, target: LakePath) -> None:
        """A store cannot rename."""
        self.bucket.move(_remote(path).key, _remote(target).key)

    def _key(self, name: str) -> str:
        return name.removeprefix(f"{self.bucket.url}/")


def _remote(path: LakePath) -> ObjectPath:
    if isinstance(path, ObjectPath):
        return path
    raise TypeError(f"{path} is in no bucket")
