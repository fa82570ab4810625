"""Reading a bucket in pieces: for pyarrow as an open file, for DuckDB as a file system of its own.

Both read one version of each object: a piece of its successor is refused by the store, and the reader asks anew.
"""

from __future__ import annotations

import io
from typing import Any, cast

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from analytics.storage.bucket import Bucket, Entry

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
        said = path.removeprefix("s3://")
        if not said.startswith(start):
            raise FileNotFoundError(f"{path} does not belong to {self.bucket.url}")
        return said[len(start) :]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size, version and age of an object."""
        key = self.key(path)
        entry = self.bucket.entry(key)
        if entry is None:
            raise FileNotFoundError(path)
        return {"name": path, "size": entry.size, "type": "file", "ETag": entry.etag, "entry": entry}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What is directly in a folder."""
        names = self.bucket.names(self.key(path.rstrip("/") + "/").rstrip("/"))
        found = [f"{path.rstrip('/')}/{name.rstrip('/')}" for name in names]
        if not detail:
            return found
        return [
            {"name": full, "size": 0, "type": "directory"} if name.endswith("/") else self.info(full)
            for full, name in zip(found, names, strict=True)
        ]

    def modified(self, path: str) -> Any:
        """When an object was written."""
        entry = self.info(path)["entry"]
        return entry.modified or (self.bucket.ask(self.key(path)) or entry).modified

    def _open(self, path: str, mode: str = "rb", **_options: Any) -> _File:
        if mode != "rb":
            raise PermissionError(f"{path} can only be read")
        found = self.info(path)
        return _File(self, path, mode, block_size=_BLOCK_BYTES, size=found["size"], entry=found["entry"])


class _File(AbstractBufferedFile):  # type: ignore[misc]
    """One version of an object."""

    def __init__(self, fs: BucketFiles, path: str, mode: str, *, entry: Entry, **options: Any) -> None:
        super().__init__(fs, path, mode, **options)
        self._entry, self._key = entry, fs.key(path)

    def _fetch_range(self, start: int, end: int) -> bytes:
        files: BucketFiles = self.fs
        return files.bucket.read_range(self._key, self._entry, start, end)
