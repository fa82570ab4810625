"""Reading a bucket in pieces: for pyarrow as an open file, for DuckDB as a file system of its own.

Both read one version of each object: a piece of its successor is refused by the store, and the reader asks anew.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import cast

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from analytics.storage.bucket import Bucket
from analytics.storage.client import Entry

_BLOCK_BYTES = 1 << 20


def opened(bucket: Bucket, key: str) -> io.BufferedReader:
    """An object as a file that can be read from anywhere.

    Raises:
        FileNotFoundError: There is none.
    """
    return cast("io.BufferedReader", BucketFiles(bucket).open(f"{bucket.url}/{key}", "rb"))


class BucketFiles(AbstractFileSystem):  # type: ignore[misc]  # the library has no types
    """The objects of a bucket, by their whole addresses; reading only."""

    protocol = "s3"
    cachable = False

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self.bucket = bucket

    def key(self, path: str) -> str:
        """The key below the bucket's prefix.

        Raises:
            FileNotFoundError: It is the address of something else.
        """
        start = f"{self.bucket.url}/".removeprefix("s3://")
        full = path.removeprefix("s3://")
        if not full.startswith(start):
            raise FileNotFoundError(f"{path} does not belong to {self.bucket.url}")
        return full[len(start) :]

    def entry(self, path: str) -> Entry:
        """Size, version and age of an object.

        Raises:
            FileNotFoundError: There is none.
        """
        entry = self.bucket.entry(self.key(path))
        if entry is None:
            raise FileNotFoundError(path)
        return entry

    def info(self, path: str, **_: object) -> dict[str, object]:
        """As fsspec describes a file."""
        entry = self.entry(path)
        return {"name": path, "size": entry.size, "type": "file", "ETag": entry.etag}

    def ls(self, path: str, detail: bool = True, **_: object) -> list[str] | list[dict[str, object]]:
        """What is directly in a folder."""
        names = self.bucket.names(self.key(path.rstrip("/") + "/").rstrip("/"))
        paths = [f"{path.rstrip('/')}/{name.rstrip('/')}" for name in names]
        if not detail:
            return paths
        return [
            {"name": full, "size": 0, "type": "directory"} if name.endswith("/") else self.info(full)
            for full, name in zip(paths, names, strict=True)
        ]

    def modified(self, path: str) -> datetime | None:
        """When an object was written."""
        entry = self.entry(path)
        return entry.modified or (self.bucket.ask(self.key(path)) or entry).modified

    def _open(self, path: str, mode: str = "rb", **_options: object) -> _File:
        if mode != "rb":
            raise PermissionError(f"{path} can only be read")
        return _File(self, path, mode, self.entry(path))


class _File(AbstractBufferedFile):  # type: ignore[misc]
    """One version of an object."""

    def __init__(self, fs: BucketFiles, path: str, mode: str, entry: Entry) -> None:
        super().__init__(fs, path, mode, block_size=_BLOCK_BYTES, size=entry.size)
        self._entry, self._key = entry, fs.key(path)

    def _fetch_range(self, start: int, end: int) -> bytes:
        files: BucketFiles = self.fs
        return files.bucket.read_range(self._key, self._entry, start, end)
