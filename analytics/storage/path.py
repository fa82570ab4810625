"""A place in a bucket with the part of ``pathlib.Path`` that the lake's modules use, and nothing that a bucket cannot do."""

from __future__ import annotations

import functools
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from analytics.errors import ConfigurationError
from analytics.storage.bucket import Bucket

SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class Stat:
    """What is known of an object.

    Attributes:
        st_size: Bytes.
        st_mtime_ns: When it was written, in nanoseconds since 1970; 0 where a listing has not told.
        st_ino: Its version, as a file's number tells one file from its successor.
    """

    st_size: int
    st_mtime_ns: int
    st_ino: int


@functools.total_ordering
class ObjectPath:
    """A key of a bucket, or the folder that keys begin with.

    It is no ``os.PathLike``: what opens files by name must not be given one by mistake.

    Args:
        bucket: The bucket and prefix it lies below.
        key: Below the bucket's prefix; empty for the whole of it.
    """

    __slots__ = ("bucket", "key")

    def __init__(self, bucket: Bucket, key: str = "") -> None:
        self.bucket, self.key = bucket, key

    # ---- names -----------------------------------------------------------------------------------------------------

    def __truediv__(self, name: str | PurePosixPath) -> ObjectPath:
        return ObjectPath(self.bucket, f"{self.key}/{name}".lstrip("/"))

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> ObjectPath:
        """The folder it is in."""
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> ObjectPath:
        """Another one beside it."""
        return self.parent / name

    def relative_to(self, other: ObjectPath) -> PurePosixPath:
        """The way from a folder above.

        Raises:
            ValueError: It is not above.
        """
        return PurePosixPath(self.key).relative_to(PurePosixPath(other.key))

    def resolve(self) -> ObjectPath:
        """The same path: a store knows no links."""
        return self

    def __str__(self) -> str:
        return f"{self.bucket.url}/{self.key}".rstrip("/")

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and str(self) == str(other)

    def __lt__(self, other: ObjectPath) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash((self.bucket.url, self.key))

    # ---- what is there ---------------------------------------------------------------------------------------------

    def is_file(self) -> bool:
        """There is an object of that name."""
        return self.bucket.entry(self.key) is not None

    def is_dir(self) -> bool:
        """Objects lie below it."""
        return self.bucket.holds(self.key)

    def exists(self) -> bool:
        """An object has that name, or objects lie below it."""
        return self.is_file() or self.is_dir()

    def stat(self) -> Stat:
        """Size, age and version.

        Raises:
            FileNotFoundError: There is no object of that name.
        """
        entry = self.bucket.entry(self.key)
        if entry is None:
            raise FileNotFoundError(f"there is no {self}")
        return Stat(
            entry.size, int(entry.modified.timestamp() * 1e9) if entry.modified else 0, zlib.crc32(entry.etag.encode())
        )

    lstat = stat

    def children(self) -> Iterator[tuple[str, bool]]:
        """Names in a folder, and whether each is a folder itself."""
        for name in self.bucket.names(self.key):
            yield name.rstrip("/"), name.endswith("/")

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """Objects directly in the folder whose names fit."""
        for name, is_folder in self.children():
            if not is_folder and fnmatchcase(name, pattern):
                yield self / name

    # ---- contents --------------------------------------------------------------------------------------------------

    def read_bytes(self) -> bytes:
        """All of it, as it is now."""
        return self.bucket.read(self.key)[0]

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of it, as it is now."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """One version of it, read in pieces; those of another are refused."""
        from analytics.storage.fsspec_reader import opened

        if mode != "rb":
            raise io.UnsupportedOperation(mode)
        return opened(self.bucket, self.key)


LakePath: TypeAlias = "Path | ObjectPath"
"""Where a lake or something in it lies."""


def place(text: str | os.PathLike[str] | LakePath) -> LakePath:
    """A folder, or ``s3://bucket/prefix``.

    Raises:
        ConfigurationError: It is the address of something else.
    """
    if isinstance(text, ObjectPath):
        return text
    address = os.path.expanduser(os.fspath(text))  # noqa: PTH111  # a shell has not always seen it: --lake=~/lake, a file of variables
    scheme, colon, rest = address.partition("://")
    if address[:5].lower() != "file:" and (not colon or "/" in scheme):
        return Path(address)
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if f"{scheme}://" != SCHEME or not bucket or "//" in prefix or {"?", "#", "@"} & {*bucket}:
        raise ConfigurationError(
            f"{address!r} is no place for a lake",
            hint="a folder, or s3://bucket/prefix; credentials and endpoint by AWS_PROFILE, AWS_ENDPOINT_URL and the like",
        )
    return ObjectPath(Bucket(bucket, prefix))


def readable(path: LakePath) -> Path | io.BufferedReader:
    """What pyarrow can open."""
    return path.open() if isinstance(path, ObjectPath) else path
