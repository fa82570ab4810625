"""The Parquet files: where a partition lives, what its folders are called, how it is replaced, what the ledger remembers.

The lake is the state. A partition is one file, replaced by one rename, so any reader that lists the folder sees whole
partitions only, also after a kill. The ledger (one JSON file per day) is written last; losing it costs a re-extraction.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from analytics.errors import LakeError
from analytics.lake import derived, expiry_mark, ledger, ledger_columns, small_partitions
from analytics.lake.ledger_columns import ColumnarPartitions
from analytics.model import DayRecord, Partition, PartitionInfo
from analytics.storage import LakePath, local_path, place, storage_of, typed_json
from analytics.storage.lock import STALE_AFTER, Owner

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
PART = "part.parquet"
_MAKE = "`strategy-analytics demo` makes one with invented data, `strategy-analytics extract --lake …` one of your own"
_LONGEST_NAME = 255  # bytes, on every common file system
# Capitals are encoded too: on a file system that ignores case, "Acme" and "acme" would share a folder. So is "~", which
# marks a shortened name.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


@functools.lru_cache(maxsize=100_000)  # of 60,000 partitions all but one in thirty ask again
def realm_directory(realm: str | None) -> str:
    """The folder name of a realm: a hive key that DuckDB, pyarrow and Spark read back as the same string.

    NULL is hive's own word for it. A realm whose name a reader would take for something else (the empty string, hive's
    NULL word) or that is longer than a file name gets a name with a hash; the column ``realm_id`` inside the file is the
    truth in any case.
    """
    if realm is None:
        return f"realm={HIVE_NULL}"
    name = f"realm={_encoded(realm)}"
    is_null_word = realm.casefold() == HIVE_NULL.casefold()  # its case twin would share NULL's folder
    if not realm or is_null_word or len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(realm.encode("utf-8", "surrogatepass")).hexdigest()
        # cut between characters: half of one would be no text for a reader that decodes the name
        start = "hive-null" if is_null_word else _encoded(realm[:8])
        name = f"realm={start}~{digest}"
    return name


def _encoded(text: str) -> str:
    return "".join(
        chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass")
    )


@functools.lru_cache(maxsize=10_000)
def day_directory(day: date | None) -> str:
    """The folder name of a day; rows without one have hive's NULL."""
    return f"day={HIVE_NULL if day is None else day.isoformat()}"


@functools.lru_cache(maxsize=10_000)
def is_realm_directory(name: str) -> bool:
    """A folder that ``realm_directory`` could have named."""
    value = name.removeprefix("realm=")
    if name == value:
        return False
    return value == HIVE_NULL or "~" in value or realm_directory(unquote(value, errors="surrogatepass")) == name


@functools.lru_cache(maxsize=10_000)
def is_day_directory(name: str) -> bool:
    """A folder that ``day_directory`` could have named."""
    try:
        return name == day_directory(day_of(name))
    except ValueError:
        return False


def day_of(name: str) -> date | None:
    """The day of a folder that ``day_directory`` named.

    Raises:
        ValueError: It did not.
    """
    value = name.removeprefix("day=")
    return None if value == HIVE_NULL else date.fromisoformat(value)


def subfolders(folder: LakePath, is_one: Callable[[str], bool]) -> list[str]:
    """Names in a folder that are folders of the lake, sorted; none where there is no such folder."""
    return sorted(filter(is_one, storage_of(folder).names(folder)))


REALM_TABLES = ("definitions", "definition_nodes", "program_history")
"""Tables with one file per realm."""


class Lake:
    """The files of one lake.

    Args:
        root: Its folder, or ``s3://bucket/prefix``; need not exist yet.

    Attributes:
        root: The folder, or the place in a bucket.
        storage: What a folder and a bucket do each in its way.

    Raises:
        ConfigurationError: The root is the address of something else.
    """

    def __init__(self, root: str | os.PathLike[str] | LakePath) -> None:
        self.root = place(root)
        self.storage = storage_of(self.root)
        self._prefix = str(self.root / "_")[:-1]
        self._read: dict[date | None, tuple[tuple[int, int, int], DayRecord]] = {}

    def ensure_there(self, *, may_be_empty: bool = False) -> None:
        """Refuse a folder that holds no lake: "nothing found" in the wrong folder is no answer.

        Args:
            may_be_empty: A folder without anything in it will do: the lake of somebody who is about to fill it.

        Raises:
            LakeError: There is no such folder, or none of a lake's own folders in it.
        """
        if any((self.root / name).is_dir() for name in ("ledger", "executions", "definitions")):
            return
        if (self.root / expiry_mark.NAME).is_file():  # a lake that has let everything go
            return
        here = local_path(self.root)
        what = f"there is no lake in {self.root if here is None else here.absolute()}"
        if self.root.is_dir():
            if may_be_empty and not any(True for _ in self.root.glob("*")):
                return
            what += ": the folder is there, and holds neither ledger nor executions"
        raise LakeError(
            what,
            hint=f"name its folder, or set ANALYTICS_LAKE; {_MAKE}",
            command_hint=f"name its folder with --lake or ANALYTICS_LAKE; {_MAKE}",
            path=str(self.root),
        )

    # ---- paths -----------------------------------------------------------------------------------------------------

    def path(self, table: str, partition: Partition) -> LakePath:
        """Where a partition of ``executions`` or ``node_days`` lives."""
        return self.root / table / realm_directory(partition.realm) / day_directory(partition.day) / PART

    def name(self, table: str, partition: Partition) -> str:
        """``path`` as text, for tens of thousands of partitions."""
        return f"{self._prefix}{table}/{realm_directory(partition.realm)}/{day_directory(partition.day)}/{PART}"

    def names_of_day(self, table: str, day: date | None) -> Callable[[str | None], str]:
        """``name`` of a day's partitions, by their tenant."""
        before, after = f"{self._prefix}{table}/", f"/{day_directory(day)}/{PART}"
        return lambda realm: f"{before}{realm_directory(realm)}{after}"

    def place(self, name: str) -> LakePath:
        """The path that ``name`` and its like give as text."""
        return self.storage.path(name)

    def is_file(self, name: str) -> bool:
        """There is such a file; by its path as text, for tens of thousands of them."""
        return self.storage.is_file(name)

    def size(self, name: str) -> int:
        """Bytes of such a file, 0 where there is none."""
        return self.storage.size(name)

    def sizes(self, names: Iterable[str]) -> Iterator[int]:
        """``size`` of tens of thousands."""
        return map(self.storage.size, names)

    def look_into(self, table: str) -> None:
        """Before many sizes of a table are asked for: of a bucket one listing then does for all tenants."""
        self.storage.list_ahead(table)

    def look_again(self) -> None:
        """Forget what is remembered of the files' names: other runs may have changed them."""
        self.storage.refresh()

    def refused(self) -> Exception | None:
        """What kept a piece of an object from being read since this was asked last; ``None`` on a file system."""
        return self.storage.read_failure()

    def realm_path(self, table: str, realm: str | None) -> LakePath:
        """Where a realm's file of one of ``REALM_TABLES`` lives."""
        return self.root / table / realm_directory(realm) / PART

    def files(
        self, table: str, *, realms: Iterable[str | None] | None = None, days: Iterable[date | None] | None = None
    ) -> list[str]:
        """Explicit paths of a table's files, for readers: a ``**`` glob over a large lake is slow.

        Args:
            table: ``executions``, ``node_days``, or one of ``REALM_TABLES``.
            realms: Only these; all when not given.
            days: Only these; all when not given. Ignored for tables without days.
        """
        base = self.root / table
        names = (
            [realm_directory(realm) for realm in realms] if realms is not None else subfolders(base, is_realm_directory)
        )
        if table in REALM_TABLES:
            candidates = [f"{base}/{name}/{PART}" for name in names]
        else:
            wanted = [day_directory(day) for day in days] if days is not None else None
            candidates = [
                f"{base}/{name}/{day}/{PART}"
                for name in names
                for day in (wanted if wanted is not None else subfolders(base / name, is_day_directory))
            ]
        # The first is quick; the second says so where it may not look.
        return [name for name in candidates if self.storage.is_file(name) or self.place(name).is_file()]

    def holds(self, info: PartitionInfo, sizes: Mapping[str, int] | None = None) -> bool:
        """The partition's files are there, with the sizes the ledger remembers.

        Args:
            info: What the ledger remembers.
            sizes: Of all files that are there, by name, where somebody has looked already.
        """
        for table, told in (("executions", info.file_bytes), ("node_days", info.node_days_bytes)):
            name = self.name(table, info.partition)
            try:
                size = sizes.get(name, 0) if sizes is not None else self.place(name).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                size = 0
            if size != told:
                return False
        return True

    # ---- writing ---------------------------------------------------------------------------------------------------

    def lock(self, wait_seconds: float = 0) -> AbstractContextManager[None]:
        """Hold the lake's lock, and stop writing when it is lost; see ``analytics.storage.lock``.

        Raises:
            LakeLockedError: Another run holds it, still after ``wait_seconds``.
        """
        return self.storage.lock(wait_seconds)

    def break_lock(self, *, stale_after: timedelta = STALE_AFTER) -> Owner | None:
        """Break the lock of a run that is provably gone, or has shown no sign of life for ``stale_after``.

        Returns:
            Whose it was; ``None`` when nobody held it, or the owner is unknown.

        Raises:
            LakeLockedError: Its owner is alive.
        """
        return self.storage.break_lock(stale_after=stale_after)

    def workspace(self) -> AbstractContextManager[Path]:
        """A private folder for files on their way; gone afterwards. Only called under the lock.

        A rename out of it into the lake is atomic; see ``analytics.storage.storage``.
        """
        return self.storage.workspace("ledger")

    def replace(self, staged: Path, target: LakePath) -> None:
        """Put a finished file in its place with one rename, durably: the data first, then the name; or with one PUT.

        Several threads may do so at once, each for partitions of its own.

        Raises:
            LakeLockedError: The lock was lost: another run may be writing.
        """
        self.storage.replace(staged, target)

    def remove(self, target: LakePath) -> None:
        """Take a partition's file away, and its folders when they are empty.

        Raises:
            LakeLockedError: The lock was lost: another run may be writing.
        """
        self.storage.remove(target)

    # ---- the ledger ------------------------------------------------------------------------------------------------

    def record(self, entry: DayRecord) -> None:
        """Write one day's ledger file, atomically and durably; the partitions it tells of must be in their places."""
        path = self.ledger_path(entry.day)
        self.write_text(path, ledger.to_json(entry))
        self._write_columns(entry)  # what is in their way is said once, at the end of an extraction

    def _write_columns(self, entry: DayRecord) -> list[str]:
        notes: list[str] = []
        path = self.ledger_path(entry.day)
        beside = ledger_columns.path_beside(path)
        made_of = self.storage.identity(str(path))
        if len(entry.partitions) >= small_partitions.LEAST and made_of:
            with derived.skipped_where_blocked(notes):
                self.write_text(beside, ledger_columns.of_record(entry, made_of))
        elif self.is_file(str(beside)):
            self.remove(beside)
        return notes

    def complete_columns(self) -> list[str]:
        """Write the ledger's columns of days that lack theirs, as in a lake that was copied; only under the lock.

        Returns:
            What was in their way, in sentences for a person.
        """
        notes: list[str] = []
        folder = self.root / "ledger" / ledger_columns.FOLDER
        for name in self.storage.names(folder):
            day_name, _, ending = name.rpartition(".")
            is_ours = ending == "txt" and is_day_directory(day_name) and self.is_file(f"{folder}/{name}")
            if is_ours and not (self.root / "ledger" / f"{day_name}.json").is_file():
                self.remove(folder / name)
        for day in self.recorded_days():
            record = self.recorded(day)
            if record is None or len(record.partitions) < small_partitions.LEAST:
                continue
            if not (isinstance(record.partitions, ColumnarPartitions) and record.partitions.is_exact):
                notes += self._write_columns(record)
        return notes

    def write_text(self, target: LakePath, text: str) -> None:
        """Write a small file, atomically and durably.

        Raises:
            LakeLockedError: The lock was lost: another run may be writing.
        """
        self.storage.write_text(target, text)

    def recorded(self, day: date | None) -> DayRecord | None:
        """What the ledger remembers of a day; ``None`` when nothing, or when the file is damaged (then the day is read again).

        A file is read once, as long as it is the same.
        """
        path = self.ledger_path(day)
        try:
            about = path.stat()
            same = (about.st_ino, about.st_mtime_ns, about.st_size)
            known = self._read.get(day)
            if known is None or known[0] != same:
                record = ledger_columns.read(self.storage, path, day) or ledger.read(path, day)
                known = self._read[day] = (same, record)
            return known[1]
        except (FileNotFoundError, IsADirectoryError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def ledger_problems(self, days: Iterable[date | None] | None = None) -> dict[str, str]:
        """What is wrong with files of the ledger: their names, and why they cannot be read.

        Args:
            days: Only those of these; of all when not given.
        """
        problems: dict[str, str] = {}
        for day in self.recorded_days() if days is None else days:
            path = self.ledger_path(day)
            try:
                ledger.read(path, day)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                problems[path.name] = typed_json.said(error)
        return problems

    def recorded_days(self, *, also_expired: bool = False) -> list[date | None]:
        """Days with a ledger file, oldest first, the undated partition last; those that are expired only when asked for."""
        mark = None if also_expired else expiry_mark.read(self.root)
        names = [path.name.removesuffix(".json") for path in (self.root / "ledger").glob("day=*.json")]
        found = [
            day for name in names if is_day_directory(name) and not expiry_mark.is_expired(mark, day := day_of(name))
        ]
        if self.storage.is_remote:
            self._read_ahead(found)
        return sorted(found, key=lambda day: (day is None, day or date.max))

    def recorded_last(self) -> date | None:
        """The day of the ledger file that was written last and tells of partitions; ``None`` also where there is none."""
        files: list[LakePath] = [*(self.root / "ledger").glob("day=*.json")]
        for path in sorted(files, key=lambda path: path.stat().st_mtime_ns, reverse=True):
            if is_day_directory(name := path.name.removesuffix(".json")):
                record = self.recorded(day := day_of(name))
                if record and record.partitions:
                    return day
        return None

    def _read_ahead(self, days: Iterable[date | None]) -> None:
        """Ask for a bucket's ledger files side by side: one after the other they take a second for every few dozen days."""
        with ThreadPoolExecutor(self.storage.concurrent_reads) as pool:
            list(pool.map(self.recorded, days))

    def realms(self) -> list[str | None]:
        """Every realm the ledger knows; shortened folder names are resolved by it too."""
        seen = {realm for day in self.recorded_days() if (entry := self.recorded(day)) for realm in entry.partitions}
        return sorted(seen, key=lambda realm: (realm is None, realm or ""))

    def ledger_path(self, day: date | None) -> LakePath:
        """Where a day's ledger file lies."""
        return self.root / "ledger" / f"{day_directory(day)}.json"


class Version(NamedTuple):
    """What tells a file from those before and after it under the same name.

    Attributes:
        size: Bytes.
        text: Size, time and number of the file, or of the bucket's object.
    """

    size: int
    text: str


def versions(lake: Lake, names: Iterable[str]) -> dict[str, Version]:
    """Of some of the lake's files; those that are gone are not in it."""
    found = {}
    for name in names:
        try:
            about = lake.place(name).stat()
        except FileNotFoundError:
            continue
        found[name] = Version(about.st_size, f"{about.st_size}-{about.st_mtime_ns}-{about.st_ino}")
    return found
