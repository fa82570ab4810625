"""One prefix of an S3-compatible bucket: what lies there, and changes that each are one request.

What lies there is known from listings, which are made once per folder and remembered: a lake's partitions are looked up tens of
thousands of times. A key that a listing does not show is asked for by itself, and every change keeps what is remembered true.

A change names the version it replaces (``If-Match``, or ``If-None-Match: *`` where there was none), so a run that has lost its
lock without noticing cannot write over what its successor has written: the store refuses.
"""

from __future__ import annotations

import io
import os
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from analytics.errors import AnalyticsError, ConfigurationError, LakeError, LakeLockedError
from analytics.storage import errors

if TYPE_CHECKING:
    from analytics.storage.client import Client

_DEPTH = 2
"""Parts of the folders that are listed at once: ``executions/realm=…``. Deeper ones would cost a request per day."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object.

    Attributes:
        size: Its bytes.
        etag: Names its version.
        modified: When it was written, UTC; ``None`` for one this process has just written.
    """

    size: int
    etag: str
    modified: datetime | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Entry:
        """As the store's answer to a HEAD tells."""
        return cls(answer["ContentLength"], answer["ETag"], answer.get("LastModified"))


class Listing:
    """Keys and the folders they make; not safe from several threads by itself."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._listed: set[str] = set()
        self._children: dict[str, set[str]] = {}

    def missing(self, folder: str) -> str | None:
        """The folder to list before this one can be answered for; ``None`` when it can be."""
        wanted = "/".join(folder.split("/")[:_DEPTH])
        above = [wanted, *(wanted[:end] for end, letter in enumerate(wanted) if letter == "/"), ""]
        return wanted if self._listed.isdisjoint(above) else None

    def add(self, folder: str, found: Iterable[tuple[str, Entry]]) -> None:
        """Everything below a folder."""
        for key, entry in found:
            self.know(key, entry)
        self._listed.add(folder)

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder, those of folders with a slash at their end."""
        return sorted(self._children.get(folder, ()))

    def below(self, folder: str) -> list[tuple[str, Entry]]:
        """Everything in a folder and its folders, by key."""
        start = f"{folder}/" if folder else ""
        return sorted((pair for pair in self.entries.items() if pair[0].startswith(start)), key=lambda pair: pair[0])

    def know(self, key: str, entry: Entry | None) -> None:
        """An object as it is now; ``None`` where there is none."""
        if entry is None:
            self.entries.pop(key, None)
        else:
            self.entries[key] = entry
        name = ""
        while key:
            above, _, last = key.rpartition("/")
            names = self._children.setdefault(above, set())
            if entry is None:
                names.discard(last + name)
                if names:
                    return
                del self._children[above]
            elif last + name in names:
                return
            else:
                names.add(last + name)
            key, name = above, "/"


MOST_BYTES = 5 << 30
"""S3's limit on an object that one PUT makes."""

_PAGE = 1_000
"""Keys of a listing's answer, the most that S3 gives."""

_WRITER = "writer"
"""Metadata: who made an object, so that an answer that was lost can be told from somebody else's write."""


class Bucket:
    """The objects below one prefix. Safe from several threads; a copy in another process connects by itself.

    Args:
        name: Of the bucket.
        prefix: Of every key, without slashes at its ends; may be empty.
    """

    def __init__(self, name: str, prefix: str) -> None:
        self.name, self.prefix = name, prefix
        self.url = f"s3://{name}/{prefix}".rstrip("/")
        self._writer = uuid.uuid4().hex
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._client: Client | None = None
        self._process = 0
        self._listing = Listing()
        self._kept: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "prefix": self.prefix, "url": self.url, "_writer": self._writer}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    # ---- what lies there -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Forget the listings: the next question is answered by the store."""
        with self._lock:
            self._listing = Listing()

    def holds(self, folder: str) -> bool:
        """Something lies in a folder; asked with a listing of one object where it has not been listed."""
        with self._lock:
            if self._listing.missing(folder) is None:
                return bool(self._listing.names(folder))
        return next(self._pages(folder, most=1), None) is not None

    def names(self, folder: str) -> list[str]:
        """Names directly in a folder, those of folders with a slash at their end; none where there is no such folder."""
        with self._lock:
            self._list(folder)
            return self._listing.names(folder)

    def below(self, folder: str) -> list[tuple[str, Entry]]:
        """Everything in a folder and its folders, by key."""
        with self._lock:
            self._list(folder)
            return self._listing.below(folder)

    def entry(self, key: str) -> Entry | None:
        """An object, as a listing or the store itself tells; ``None`` where there is none."""
        with self._lock:
            known = self._listing.entries.get(key)
        if known is None:
            known = self.ask(key)
        return known

    def listed(self, key: str) -> Entry | None:
        """An object as a listing of its folder tells, which is made where there is none; ``None`` where it shows none."""
        with self._lock:
            self._list(key.rpartition("/")[0])
            return self._listing.entries.get(key)

    def ask(self, key: str) -> Entry | None:
        """The same as ``entry``, of the store itself."""
        answer = self._head(key)
        found = Entry.of(answer) if answer else None
        self._know(key, found)
        return found

    def clock(self, key: str) -> tuple[Entry, datetime] | None:
        """An object and the store's own time, both by its clock; ``None`` where there is none."""
        answer = self._head(key)
        if answer is None:
            return None
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return Entry.of(answer), now

    # ---- contents --------------------------------------------------------------------------------------------------

    def read(self, key: str) -> tuple[bytes, Entry]:
        """A whole object as it is now.

        Raises:
            FileNotFoundError: There is none.
        """
        try:
            data, answer = self.client.body(Bucket=self.name, Key=self._full(key))
        except Exception as error:
            self._refused(error, key)
        found = Entry(len(data), answer["ETag"], answer.get("LastModified"))
        self._know(key, found)
        return data, found

    def read_range(self, key: str, entry: Entry, start: int, end: int) -> bytes:
        """Bytes of one version of an object.

        Raises:
            FileNotFoundError: That version is gone: it was replaced or removed.
        """
        if start >= end:
            return b""
        try:
            data, _ = self.client.body(
                Bucket=self.name, Key=self._full(key), Range=f"bytes={start}-{end - 1}", IfMatch=entry.etag
            )
        except Exception as error:
            if errors.is_other_version(error):
                self._know(key, None)
                self._kept = FileNotFoundError(f"{self.url}/{key} was replaced while it was read")
            else:
                self._kept = self._words(error, key)
            raise self._kept from error
        return bytes(data)

    def refused(self) -> Exception | None:
        """What ``read_range`` has raised since this was asked last."""
        found, self._kept = self._kept, None
        return found

    # ---- changes ---------------------------------------------------------------------------------------------------

    def put(self, key: str, content: bytes | Path) -> Entry:
        """Make or replace an object with one request, if it is still what this process knows it to be.

        Raises:
            LakeLockedError: It is not: another run has written it since.
            LakeError: The store refused, or the file is too large for one request.
        """
        found = self.swap(key, content, self.entry(key))
        if found is None:
            raise LakeLockedError(
                f"{self.url}/{key} was written by another run while this one held the lake; it stops here",
                hint="nothing is half-written; run again, and let one run at a time write the lake",
                path=f"{self.url}/{key}",
            )
        return found

    def swap(self, key: str, content: bytes | Path, before: Entry | None) -> Entry | None:
        """Put an object in the place of one version, or of none; ``None`` when that is not what is there."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if size > MOST_BYTES:
            raise LakeError(
                f"{self.url}/{key} would have {size:,} bytes, and an object that one request makes has at most {MOST_BYTES:,}",
                hint="that realm-day does not fit into an object store; keep this lake on a file system",
            )
        condition = {"IfMatch": before.etag} if before else {"IfNoneMatch": "*"}
        mark = f"{self._writer}-{uuid.uuid4().hex}"
        try:
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as body:
                where = {"Bucket": self.name, "Key": self._full(key), **condition}
                answer = self.client.call("put_object", Body=body, Metadata={_WRITER: mark}, **where)
        except Exception as error:
            if not errors.is_other_version(error):
                self._refused(error, key)
            # An answer that was lost is asked for again, and then it is this very write that stands in the way.
            there = self._head(key)
            if there is None or there.get("Metadata", {}).get(_WRITER) != mark:
                self._know(key, Entry.of(there) if there else None)
                return None
            answer = there
        found = Entry(size, answer["ETag"], None)
        self._know(key, found)
        return found

    def remove(self, key: str) -> None:
        """Take an object away; nothing where there is none.

        Raises:
            LakeLockedError: It is another version than this process knows.
        """
        before = self.entry(key)
        now = self.ask(key)
        if before is None or now is None:
            return
        if now.etag != before.etag:
            raise LakeLockedError(
                f"{self.url}/{key} was written by another run while this one held the lake; it stops here",
                hint="nothing was removed; run again, and let one run at a time write the lake",
                path=f"{self.url}/{key}",
            )
        try:
            self.client.call("delete_object", Bucket=self.name, Key=self._full(key))
        except Exception as error:
            self._refused(error, key)
        self._know(key, None)

    def move(self, key: str, target: str) -> None:
        """Copy an object and take the original away: a store cannot rename."""
        try:
            source = {"Bucket": self.name, "Key": self._full(key)}
            self.client.call("copy_object", Bucket=self.name, Key=self._full(target), CopySource=source)
        except Exception as error:
            self._refused(error, key)
        self.ask(target)
        self.remove(key)

    # ---- inside ----------------------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """The library's connection; credentials and endpoint by its own conventions."""
        with self._lock:
            if self._client is None or self._process != os.getpid():
                try:
                    from analytics.storage.client import Client
                except ImportError as error:
                    raise ConfigurationError(
                        f"a lake in {self.url} needs the package {error.name}",
                        hint="pip install 'strategy-analytics[s3]'",
                    ) from error
                self._client, self._process = Client(), os.getpid()
            return self._client

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _list(self, folder: str) -> None:
        wanted = self._listing.missing(folder)
        if wanted is not None:
            self._listing.add(wanted, self._pages(wanted))

    def _pages(self, folder: str, most: int = _PAGE) -> Iterator[tuple[str, Entry]]:
        cut = len(self.prefix) + 1 if self.prefix else 0
        start = self._full(f"{folder}/" if folder else "")
        more: dict[str, str] = {}
        while True:
            try:
                page = self.client.call("list_objects_v2", Bucket=self.name, Prefix=start, MaxKeys=most, **more)
            except Exception as error:
                self._refused(error, folder)
            for found in page.get("Contents", ()):
                yield found["Key"][cut:], Entry(found["Size"], found["ETag"], found["LastModified"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _know(self, key: str, entry: Entry | None) -> None:
        with self._lock:
            self._listing.know(key, entry)

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.client.call("head_object", Bucket=self.name, Key=self._full(key))
            return found
        except FileNotFoundError as error:
            if errors.is_no_bucket(error):
                self._refused(error, key)
            return None
        except Exception as error:
            self._refused(error, key)

    def _refused(self, error: Exception, key: str) -> NoReturn:
        raise self._words(error, key) from error

    def _words(self, error: Exception, key: str) -> Exception:
        if isinstance(error, FileNotFoundError) and not errors.is_no_bucket(error):
            self._know(key, None)
            return FileNotFoundError(f"there is no {self.url}/{key}")
        return error if isinstance(error, AnalyticsError) else errors.failure(error, self.url)
