"""Files in the tables' folders that are not the lake's own: found, named, and set aside; never read as data, never deleted.

A bare glob reads whatever ends in ``.parquet``, so a copy, a half download or another program's file beside a partition is
counted as rows. An extraction moves such files of its days out of the way, into ``.set-aside`` and under a name that no glob
matches; ``check`` names them everywhere. A partition's file is taken for the lake's own when it has the size the ledger
remembers, or else (a killed run, a lost ledger) when its inside says that it belongs where it lies.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePath

from analytics.errors import LakeError
from analytics.lake.lake import (
    PART,
    REALM_TABLES,
    Lake,
    day_directory,
    is_day_directory,
    is_realm_directory,
    realm_directory,
)
from analytics.model import DayRecord
from analytics.storage import LakePath, disk, readable

FOLDER = ".set-aside"
DAY_TABLES = ("executions", "node_days")
TABLES = (*DAY_TABLES, *REALM_TABLES)

_KEY_COLUMNS = {
    "executions": {"execution_id", "realm_id", "created_at", "trace", "sample_weight"},
    "node_days": {"realm_id", "strategy_id", "node_id", "entry_count"},
    "definitions": {"strategy_id", "realm_id", "ast_json", "is_deleted"},
    "definition_nodes": {"strategy_id", "realm_id", "position"},
    "program_history": {"strategy_id", "realm_id", "ast_json", "replaced_at"},
}
_UNREADABLE_NOW = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE)
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class ForeignFile:
    """A file or folder in a table's folder.

    Attributes:
        path: Where it lies.
        is_stranger: It is not the lake's own.
        bytes_on_disk: Its size.
        bytes_in_ledger: What the ledger remembers; ``None`` where it knows of no such file.
    """

    path: LakePath
    is_stranger: bool
    bytes_on_disk: int
    bytes_in_ledger: int | None


@dataclass(frozen=True, slots=True)
class FolderListing:
    """What a glob over the tables' folders would read.

    Attributes:
        places: Files where a partition's file may lie, and their sizes.
        strays: Everything else.
    """

    places: dict[str, int]
    strays: list[str]


@dataclass(frozen=True, slots=True)
class _TableLayout:
    """Where the lake's own files of a table lie: ``realm=…/day=…/part.parquet``, or ``realm=…/part.parquet``.

    Attributes:
        has_days: Realms have folders of days.
        days: Folders of days that are of interest; all when ``None``.
    """

    has_days: bool
    days: frozenset[str] | None

    def has_folder(self, names: tuple[str, ...]) -> bool:
        """A realm's, or a day's in it."""
        if len(names) == 1:
            return is_realm_directory(names[0])
        return self.has_days and len(names) == 2 and is_day_directory(names[1]) and is_realm_directory(names[0])

    def leaves_out(self, names: tuple[str, ...]) -> bool:
        """The folder of a day that is of no interest."""
        return self.days is not None and len(names) == 2 and names[1] not in self.days and self.has_folder(names)

    def has_file(self, names: tuple[str, ...]) -> bool:
        """A partition's file."""
        return names[-1] == PART and len(names) == (3 if self.has_days else 2) and self.has_folder(names[:-1])


def list_files(
    lake: Lake, days: Iterable[date | None] | None = None, *, tables: Sequence[str] = TABLES
) -> FolderListing:
    """Look into every folder once.

    Args:
        lake: The lake whose tables are looked into.
        days: Only the folders of these; of all when not given.
        tables: Those of ``TABLES`` whose folders are looked into.

    Raises:
        LakeError: The disk refused.
    """
    found = FolderListing({}, [])
    try:
        wanted = None if days is None else frozenset(day_directory(day) for day in days)
        for table in tables:
            for name, size in lake.storage.parquet_files(table, _TableLayout(table in DAY_TABLES, wanted)):
                if size is not None:
                    found.places[name] = size
                else:
                    found.strays.append(name)
    except OSError as error:
        raise disk.failure(error, lake.root) from error
    return found


def find(
    lake: Lake,
    records: Mapping[date | None, DayRecord | None],
    here: FolderListing,
    *,
    every_size: bool = False,
    own: Collection[str] = (),
) -> Iterator[ForeignFile]:
    """Files that are not as the ledger says, strangers among them.

    Args:
        lake: The lake that was looked into.
        records: The ledger of these days.
        here: What is there.
        every_size: Also those of the right size.
        own: Names of files that are known to be the lake's own.
    """
    sizes = _sizes(lake, records)
    for name, size in here.places.items():
        told = sizes.pop(name, None)
        if told != size:
            is_ours = name in own or _is_ours(lake, lake.place(name), told is not None)
            yield ForeignFile(lake.place(name), not is_ours, size, told)
        elif every_size:
            yield ForeignFile(lake.place(name), False, size, told)
    for name in here.strays:
        path = lake.place(name)
        yield ForeignFile(path, True, path.lstat().st_size, sizes.pop(name, None))
    for name, told in sizes.items():  # the ledger knows a file that is not there
        yield ForeignFile(lake.place(name), False, 0, told)


def quarantine(
    lake: Lake,
    records: Mapping[date | None, DayRecord | None],
    here: FolderListing,
    own: Collection[str] = (),
) -> list[str]:
    """Move strangers out of the folders of these days; only under the lock.

    Args:
        lake: The lake that was looked into.
        records: The ledger of these days.
        here: What is there.
        own: See ``find``.

    Returns:
        A sentence that names them and where they are now, for a person; none when there were none.

    Raises:
        LakeError: The disk refused.
    """
    try:
        strangers = [found.path for found in find(lake, records, here, own=own) if found.is_stranger]
        target = lake.root / FOLDER / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}"
        for number, path in enumerate(strangers):
            name = os.fsdecode(os.fsencode(path.name)[:200])  # a longer one would not fit with what is added
            lake.storage.move_aside(path, target / str(inside(lake, path).parent) / f"{name}.{number}.aside")
    except OSError as error:
        raise disk.failure(error, lake.root) from error
    if not strangers:
        return []
    names = [ascii(str(inside(lake, path)))[1:-1] for path in strangers]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return [
        f"{len(names)} file{'s' * (len(names) != 1)} that the lake did not write {'were' if len(names) != 1 else 'was'} set aside "
        f"in {target}: {', '.join(names[:_MOST_NAMED])}{more}"
    ]


def exclude(lake: Lake, files: Sequence[str], records: Mapping[date | None, DayRecord | None]) -> list[str]:
    """Those of some partition files that are the lake's own, for readers; cheap where the ledger knows them.

    Raises:
        LakeError: A file that the ledger does not know cannot be looked into.
    """
    known = _sizes(lake, records)
    try:
        return [name for name in files if name in known or _is_ours(lake, lake.place(name), False)]
    except OSError as error:
        message, hint = disk.why(error)
        raise LakeError(f"the lake {lake.root} cannot be read: {message}", hint=hint, path=str(lake.root)) from error


def _sizes(lake: Lake, records: Mapping[date | None, DayRecord | None]) -> dict[str, int]:
    return {
        lake.name(table, info.partition): size
        for record in records.values()
        if record
        for info in record.partitions.values()
        for table, size in (("executions", info.file_bytes), ("node_days", info.node_days_bytes))
        if size
    }


def _is_ours(lake: Lake, path: LakePath, is_known: bool) -> bool:
    """What is inside the file belongs where it lies."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, realm_folder = inside(lake, path).parts[:2]
    try:
        with pq.ParquetFile(readable(path)) as file:
            if not _KEY_COLUMNS[table] <= set(file.schema_arrow.names):
                return False
            footer = file.metadata.metadata or {}
            realms = file.read(columns=["realm_id"])["realm_id"].slice(0, 1).to_pylist()
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno in _UNREADABLE_NOW:
            raise  # it may well be ours
        return False
    if table in DAY_TABLES:
        day = footer.get(b"strategy_analytics.day", b"?").decode(errors="replace")
        if path.parent.name != (f"day={day}" if day else day_directory(None)):
            return False
        executions = lake.root / "executions" / realm_folder / path.parent.name / PART
        if table == "node_days" and not is_known and not executions.is_file():
            return False  # a rollup of rows that are not there
    elif not realms:
        return True  # definitions without a program have no nodes
    return bool(realms) and realm_directory(realms[0]) == realm_folder


def inside(lake: Lake, path: LakePath) -> PurePath:
    """The way to a file of the lake from its root."""
    return lake.storage.names_from_root(path)
