"""Day files: the rows of a day's many small partitions once more, in one file, for readers of all tenants.

A query over 60,000 files of a few rows is sixty thousand footers. So of a complete day with many small partitions there is also
one file with the rows of all of them: ``days/<table>/realm=~many/day=<YYYY-MM-DD>/<digest>-<bytes>.parquet``. It is derived: the
digest is of the ledger's entries of those partitions, so a file that does not tell what the ledger tells, or has not the size
that its name gives, is not looked at. Large partitions stay out: they are quick to read, and dear to copy.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.gathering import Gathering, Sink, order
from analytics.lake import Lake, day_directory, is_day_directory, subfolders
from analytics.model import DayRecord, Partition, PartitionInfo
from analytics.parquet_writer import SMALL_ROWS

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "days"
TABLES = ("executions", "node_days")
LEAST = 64
"""Small partitions of a day: fewer are read about as quickly one by one."""

# The hive keys of a partition, so that one list of files can hold both; no realm's folder is named so (see ``lake``).
_REALM = "realm=~many"
_NAME = re.compile(r"([0-9a-f]{32})-([0-9]+)\.parquet")


@dataclass(frozen=True, slots=True)
class DayFile:
    """A day file on the disk.

    Attributes:
        path: Of it.
        table: Whose rows it holds.
        day: Of the rows.
        digest: Of the ledger's entries it was made of, by its name.
        bytes_in_name: The size it had when it was finished.
        bytes_on_disk: The size it has.
    """

    path: Path
    table: str
    day: date
    digest: str
    bytes_in_name: int
    bytes_on_disk: int

    @property
    def is_whole(self) -> bool:
        """It has the size it should have."""
        return self.bytes_on_disk == self.bytes_in_name


def small(record: DayRecord | None) -> list[PartitionInfo]:
    """The partitions of a day that a day file holds, in its order."""
    infos = record.partitions.values() if record else ()
    return sorted((info for info in infos if info.row_count < SMALL_ROWS), key=lambda info: order(info.partition.realm))


def digest(infos: Iterable[PartitionInfo]) -> str:
    """Of everything that decides what is in the files of these partitions."""
    told = [
        (
            info.partition.realm,
            (info.row_count, info.id_hash, info.fingerprint.row_count, info.fingerprint.change_hash),
            (info.file_bytes, info.node_days_bytes, info.sample_rate, info.extracted_at.isoformat()),
        )
        for info in infos
    ]
    return hashlib.sha256(ascii(told).encode()).hexdigest()[:32]


def of_day(lake: Lake, table: str, day: date) -> list[DayFile]:
    """The day files of a day, superseded ones among them."""
    found = []
    try:
        with os.scandir(_folder(lake, table, day)) as entries:
            for entry in entries:
                if (match := _NAME.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.append(DayFile(Path(entry.path), table, day, match[1], int(match[2]), size))
    except (FileNotFoundError, NotADirectoryError):
        pass
    return found


def everywhere(lake: Lake) -> Iterator[DayFile]:
    """Every day file of a lake."""
    for table in TABLES:
        for name in subfolders(lake.root / FOLDER / table / _REALM, is_day_directory):
            if name != day_directory(None):
                yield from of_day(lake, table, date.fromisoformat(name.removeprefix("day=")))


def current(lake: Lake, table: str, record: DayRecord) -> DayFile | None:
    """The day file that holds what the ledger tells of a day; ``None`` where there is none."""
    found = of_day(lake, table, record.day) if record.day else []
    mark = digest(small(record)) if found else ""
    return next((file for file in found if file.digest == mark and file.is_whole), None)


def write(
    lake: Lake, before: Mapping[date | None, DayRecord | None], workspace: Path, gathering: Gathering | None = None
) -> None:
    """Make the day files of the complete days that lack theirs; only under the lock, after the ledger was written.

    Superseded files stay until the next run: somebody may be reading them.

    Args:
        lake: Where.
        before: The days to look at, with the ledger as it was before this run.
        workspace: Folder for files on their way.
        gathering: Rows that this run has written anyway.
    """
    _sweep(lake)
    made = subfolders(lake.root / FOLDER, lambda name: name in TABLES)
    for day, old in before.items():
        if day is None or (not made and old is None and not (gathering and gathering.knows(day))):
            continue
        record = lake.recorded(day)
        infos = small(record)
        if record is None or not record.is_complete or len(infos) < LEAST:
            if made and (record is None or len(infos) < LEAST):  # its rows may be gone for good
                for table in TABLES:
                    for file in of_day(lake, table, day):
                        lake.remove(file.path)
            continue
        mark = digest(infos)
        for table in TABLES:
            if not any(file.digest == mark and file.is_whole for file in of_day(lake, table, day)):
                staged = gathering.take(table, day, infos) if gathering else None
                staged = staged or _assemble(lake, table, infos, old, workspace)
                if staged:
                    name = f"{mark}-{staged.stat().st_size}.parquet"
                    lake.replace(staged, _folder(lake, table, day) / name)


def _folder(lake: Lake, table: str, day: date) -> Path:
    return lake.root / FOLDER / table / _REALM / day_directory(day)


def _sweep(lake: Lake) -> None:
    """Remove what is damaged and, of each day, all but the newest."""
    newest: dict[tuple[str, date], tuple[int, DayFile]] = {}
    for file in everywhere(lake):
        key, age = (file.table, file.day), file.path.stat().st_mtime_ns
        known = newest.get(key)
        if not file.is_whole or (known and known[0] > age):
            lake.remove(file.path)
            continue
        newest[key] = (age, file)
        if known:
            lake.remove(known[1].path)


def _assemble(
    lake: Lake, table: str, infos: list[PartitionInfo], old: DayRecord | None, workspace: Path
) -> Path | None:
    """A day file from the partitions' files; from the day's last one what has not changed. ``None`` where they are not as told."""
    import pyarrow as pa

    sink = Sink(workspace / f"day-{table}.tmp", infos[0].partition.day)
    base = current(lake, table, old) if old else None
    for source in (base, None) if base else (None,):
        try:
            for info in _merged(lake, table, infos, old if source else None, source, sink):
                ...
        except (pa.ArrowException, OSError, _NotAsToldError):
            continue
    return None


class _NotAsToldError(Exception):
    """The partitions' files are not those of the ledger."""
