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
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from analytics.errors import AnalyticsError, ConfigurationError, LakeError, LakeLockedError
from analytics.storage.client import Client, Entry, Head, failure, is_no_bucket, is_other_version

_DEPTH = 2
"""Parts of the folders that are listed at once: ``executions/realm=…``. Deeper ones would cost a request per day."""


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

    def add(self, folder: str, entries: Iterable[tuple[str, Entry]]) -> None:
        """Everything below a folder."""
        for key, entry in entries:
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


class Bucket:
    """The objects below one prefix. Safe from several threads; a copy in another process connects by itself.

    Args:
        name: The bucket's, as in ``s3://name/prefix``.
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
        self._read_failure: Exception | None = None

    def __getstate__(self) -> dict[str, str]:
        return {"name": self.name, "prefix": self.prefix, "url": self.url, "_writer": self._writer}

    def __setstate__(self, state: dict[str, str]) -> None:
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
        head = self._head(key)
        entry = head.entry if head else None
        self._know(key, entry)
        return entry

    def age(self, key: str) -> timedelta | None:
        """How long ago an object was written, by the store's own clock; ``None`` where there is none, or no time."""
        head = self._head(key)
        if head is None or head.now is None or head.entry.modified is None:
            return None
        return max(timedelta(0), head.now - head.entry.modified)

    # ---- contents --------------------------------------------------------------------------------------------------

    def read(self, key: str) -> tuple[bytes, Entry]:
        """A whole object as it is now.

        Raises:
            FileNotFoundError: There is none.
        """
        try:
            data, entry = self.client.get(self._full(key))
        except Exception as error:
            self._refused(error, key)
        self._know(key, entry)
        return data, entry

    def read_range(self, key: str, entry: Entry, start: int, end: int) -> bytes:
        """Bytes of one version of an object.

        Raises:
            FileNotFoundError: That version is gone: it was replaced or removed.
        """
        if start >= end:
            return b""
        try:
            return self.client.get_range(self._full(key), entry, start, end)
        except Exception as error:
            if is_other_version(error):
                self._know(key, None)
                self._read_failure = FileNotFoundError(f"{self.url}/{key} was replaced while it was read")
            else:
                self._read_failure = self._words(error, key)
            raise self._read_failure from error

    def read_failure(self) -> Exception | None:
        """What ``read_range`` has raised since this was asked last."""
        error, self._read_failure = self._read_failure, None
        return error

    # ---- changes ---------------------------------------------------------------------------------------------------

    def put(self, key: str, content: bytes | Path) -> Entry:
        """Make or replace an object with one request, if it is still what this process knows it to be.

        Raises:
            LakeLockedError: It is not: another run has written it since.
            LakeError: The store refused, or the file is too large for one request.
        """
        entry = self.swap(key, content, self.entry(key))
        if entry is None:
            raise LakeLockedError(
                f"{self.url}/{key} was written by another run while this one held the lake; it stops here",
                hint="nothing is half-written; run again, and let one run at a time write the lake",
                path=f"{self.url}/{key}",
            )
        return entry

    def swap(self, key: str, content: bytes | Path, before: Entry | None) -> Entry | None:
        """Put an object in the place of one version, or of none; ``None`` when that is not what is there."""
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if size > MOST_BYTES:
            raise LakeError(
                f"{self.url}/{key} would have {size:,} bytes, and an object that one request makes has at most {MOST_BYTES:,}",
                hint="that realm-day does not fit into an object store; keep this lake on a file system",
            )
        writer = f"{self._writer}-{uuid.uuid4().hex}"
        try:
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as body:
                etag = self.client.put(self._full(key), body, before, writer)
        except Exception as error:
            if not is_other_version(error):
                self._refused(error, key)
            # An answer that was lost is asked for again, and then it is this very write that stands in the way.
            head = self._head(key)
            if head is None or head.writer != writer:
                self._know(key, head.entry if head else None)
                return None
            etag = head.entry.etag
        entry = Entry(size, etag, None)
        self._know(key, entry)
        return entry

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
            self.client.delete(self._full(key))
        except Exception as error:
            self._refused(error, key)
        self._know(key, None)

    def move(self, key: str, target: str) -> None:
        """Copy an object and take the original away: a store cannot rename."""
        try:
            self.client.copy(self._full(key), self._full(target))
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
                    self._client, self._process = Client(self.name), os.getpid()
                except ImportError as error:
                    raise ConfigurationError(
                        f"a lake in {self.url} needs the package {error.name}",
                        hint="pip install 's3fs>=2026.9'",
                    ) from error
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
        token = None
        while True:
            try:
                page = self.client.list_page(start, most, token)
            except Exception as error:
                self._refused(error, folder)
            for key, entry in page.entries:
                yield key[cut:], entry
            token = page.token
            if token is None:
                return

    def _know(self, key: str, entry: Entry | None) -> None:
        with self._lock:
            self._listing.know(key, entry)

    def _head(self, key: str) -> Head | None:
        try:
            return self.client.head(self._full(key))
        except FileNotFoundError as error:
            if is_no_bucket(error):
                self._refused(error, key)
            return None
        except Exception as error:
            self._refused(error, key)

    def _refused(self, error: Exception, key: str) -> NoReturn:
        raise self._words(error, key) from error

    def _words(self, error: Exception, key: str) -> Exception:
        if isinstance(error, FileNotFoundError) and not is_no_bucket(error):
            self._know(key, None)
            return FileNotFoundError(f"there is no {self.url}/{key}")
        return error if isinstance(error, AnalyticsError) else failure(error, self.url)
