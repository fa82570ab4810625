"""Day files: the rows of a day's many small partitions once more, in one file, for readers of all tenants.

A query over 60,000 files of a few rows is sixty thousand footers. So of a complete day with many small partitions there is also
one file with the rows of all of them: ``days/<table>/realm=~many/day=<YYYY-MM-DD>/<digest>-<bytes>.parquet``. It is derived: the
digest is of the ledger's entries of those partitions, so a file that does not tell what the ledger tells, or has not the size
that its name gives, is not looked at. Large partitions stay out: they are quick to read, and dear to copy.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.extraction.encode import parquet_writer
from analytics.extraction.encode.parquet_writer import ROW_GROUP_ROWS
from analytics.lake import derived, ledger_columns, small_partitions
from analytics.lake.lake import Lake, day_directory, is_day_directory, subfolders
from analytics.lake.small_partitions import LEAST, order
from analytics.model import DayRecord, Partition, PartitionInfo
from analytics.storage import LakePath, readable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from analytics.extraction.plan import ExtractPlan

TABLES = ("executions", "node_days")

_HELD_BYTES = 8 << 20
"""Rows wait in memory up to this size; more make a row group."""

_ROW_BYTES = 200
"""About what a row takes without its trace; asking each column takes longer than writing it."""


class ParquetSink:
    """One file, filled with many small tables.

    Args:
        path: Of it.
        day: Of the rows.

    Attributes:
        row_count: Rows it was given.
    """

    def __init__(self, path: Path, day: date) -> None:
        self.path, self._day = path, day
        self.row_count = 0
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        """Take in some rows."""
        self.row_count += rows.num_rows
        self._held.append(rows)
        self._held_rows += rows.num_rows
        self._held_bytes += rows.num_rows * _ROW_BYTES + (rows["trace"].nbytes if "trace" in rows.column_names else 0)
        if self._held_rows >= ROW_GROUP_ROWS or self._held_bytes >= _HELD_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish the file; there is none when there was no row."""
        if self._held:
            self._flush()
        if self._writer:
            self._writer.close()
            self._writer = None

    def drop(self) -> None:
        """Forget the rows."""
        self._held = []
        self.close()

    def _flush(self) -> None:
        import pyarrow as pa

        # One piece is written three times as fast as thousands.
        rows = pa.concat_tables(held.replace_schema_metadata(None) for held in self._held).combine_chunks()
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        if self._writer is None:
            footer = {"strategy_analytics.day": self._day.isoformat()}
            self._writer = parquet_writer.create(self.path, rows.schema, footer, small=False)
        self._writer.write_table(rows, row_group_size=ROW_GROUP_ROWS)


class _DayBuffer:
    """What was gathered of one table and day."""

    def __init__(self, path: Path, day: date) -> None:
        self.lock = threading.Lock()
        self.sink = ParquetSink(path, day)
        self.counts: list[tuple[str | None, int]] = []
        self.is_in_order = True


class DayCompactor:
    """Keeps the rows of small partitions while they are written, so that they need not be read again for their day file.

    Several threads may add rows. A day whose rows do not come in the order of their realms is given up.

    Args:
        workspace: Folder for files on their way.
        days: Of which day files are wanted.
    """

    def __init__(self, workspace: Path, days: Iterable[date]) -> None:
        self._piles = {
            (table, day): _DayBuffer(workspace / f"day-{day}-{table}.tmp", day) for day in days for table in TABLES
        }

    def add(self, table: str, partition: Partition, rows: pa.Table, row_count: int) -> None:
        """Take in what a partition's file holds.

        Args:
            table: ``executions`` or ``node_days``.
            partition: Whose.
            rows: What the file of this table holds.
            row_count: Runs of the partition: whether it is small does not depend on the table.
        """
        pile = self._piles.get((table, partition.day)) if partition.day else None
        if pile is None or not small_partitions.is_small(row_count):
            return
        with pile.lock:
            if pile.counts and order(partition.realm) <= order(pile.counts[-1][0]):
                pile.is_in_order = False
                pile.sink.drop()
            if pile.is_in_order:
                pile.counts.append((partition.realm, rows.num_rows))
                pile.sink.add(rows)

    def take(self, table: str, infos: Sequence[PartitionInfo]) -> Path | None:
        """The finished file of a day; ``None`` unless it holds exactly these partitions."""
        pile = self._piles.pop((table, infos[0].partition.day), None) if infos[0].partition.day else None
        if pile is None:
            return None
        with pile.lock:
            if table == "executions":
                is_whole = pile.counts == [(info.partition.realm, info.row_count) for info in infos if info.row_count]
            else:
                is_whole = [realm for realm, _ in pile.counts] == [
                    info.partition.realm for info in infos if info.node_days_bytes
                ]
            if not (is_whole and pile.is_in_order and pile.counts):
                pile.sink.drop()
                return None
            pile.sink.close()
            return pile.sink.path

    def close(self) -> None:
        """Forget what was not taken."""
        for pile in self._piles.values():
            with pile.lock:
                pile.is_in_order = False
                pile.sink.drop()


FOLDER = "days"
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

    path: LakePath
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
    return small_partitions.of(record.partitions.values() if record else ())


def of_day(lake: Lake, table: str, day: date) -> list[DayFile]:
    """The day files of a day, superseded ones among them."""
    return [
        DayFile(path, table, day, match[1], int(match[2]), size)
        for path, size in lake.storage.files(_folder(lake, table, day))
        if (match := _NAME.fullmatch(path.name))
    ]


def everywhere(lake: Lake) -> Iterator[DayFile]:
    """Every day file of a lake."""
    for table in TABLES:
        for name in subfolders(lake.root / FOLDER / table / _REALM, is_day_directory):
            if name != day_directory(None):
                yield from of_day(lake, table, date.fromisoformat(name.removeprefix("day=")))


def current(lake: Lake, record: DayRecord) -> dict[str, DayFile]:
    """The day files that hold what the ledger tells of a day, by table; only those that there are."""
    found = [file for table in TABLES for file in of_day(lake, table, record.day)] if record.day else []
    mark = ledger_columns.small_digest(record) if found else ""
    return {file.table: file for file in found if file.digest == mark and file.is_whole}


def needs_compaction(plan: ExtractPlan, complete_until: datetime) -> set[date]:
    """Days that this plan writes as a whole, many small partitions each, and that will be complete."""
    count = Counter(
        partition.day for partition, found in plan.changed.items() if small_partitions.is_small(found.row_count)
    )
    return {
        day
        for day, partitions in count.items()
        if day
        and partitions >= LEAST
        and day < complete_until.date()
        and not any(info.partition not in plan.changed for info in small(plan.records.get(day)))
    }


def write(
    lake: Lake,
    days: Iterable[date | None],
    before: Mapping[date | None, DayRecord | None],
    gathering: DayCompactor,
    workspace: Path,
) -> list[str]:
    """Make the day files of the complete days that lack theirs; only under the lock, after the ledger was written.

    Superseded files stay until the next run: somebody may be reading them.

    Args:
        lake: Where.
        days: To look at.
        before: The ledger as it was before this run.
        gathering: Rows that this run has written anyway.
        workspace: Folder for files on their way.

    Returns:
        What was in their way, in sentences for a person.
    """
    notes: list[str] = []
    for day in days:
        record = lake.recorded(day) if day else None
        infos = small(record)
        if day is None or record is None or not record.is_complete or len(infos) < LEAST:
            continue
        mark = small_partitions.digest(infos)
        for table in TABLES:
            if not any(file.digest == mark and file.is_whole for file in of_day(lake, table, day)):
                staged = gathering.take(table, infos) or _assemble(lake, table, infos, before.get(day), workspace)
                if staged:
                    target = _folder(lake, table, day) / f"{mark}-{staged.stat().st_size}.parquet"
                    with derived.skipped_where_blocked(notes):
                        lake.replace(staged, target)
    return notes


def remove_stale(lake: Lake) -> None:
    """Remove what is damaged and, of each day, all but the newest; only under the lock, before new ones are written."""
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


def _folder(lake: Lake, table: str, day: date) -> LakePath:
    return lake.root / FOLDER / table / _REALM / day_directory(day)


def _assemble(
    lake: Lake, table: str, infos: list[PartitionInfo], old: DayRecord | None, workspace: Path
) -> Path | None:
    """A day file of what lies in the lake; ``None`` where that is not what the ledger tells.

    What has not changed is taken from the day's last one: a late row of one tenant must not cost a read of them all.
    """
    import pyarrow as pa

    base = current(lake, old).get(table) if old else None
    for source in (base, None) if base else (None,):
        sink = ParquetSink(workspace / f"day-{table}.tmp", infos[0].partition.day or date.min)
        try:
            for rows in _rows(lake, table, infos, old if source else None, source):
                if rows is None:
                    return None
                sink.add(rows)
            sink.close()
        except (pa.ArrowException, OSError):
            if source is None:
                raise
            continue  # the last one is damaged
        finally:
            sink.drop()
        if table == "node_days" or sink.row_count == sum(info.row_count for info in infos):
            return sink.path if sink.row_count else None
    return None


def _rows(
    lake: Lake, table: str, infos: list[PartitionInfo], old: DayRecord | None, base: DayFile | None
) -> Iterator[pa.Table | None]:
    """Rows of these partitions in their order; ``None`` for a file that is not as the ledger tells."""
    runs = _runs(base.path) if base else iter(())
    run = next(runs, None)
    for info in infos:
        realm = info.partition.realm
        if old and old.partitions.get(realm) == info:
            while run and order(run[0]) <= order(realm):
                if run[0] == realm:
                    yield run[1]
                run = next(runs, None)
        elif size := info.file_bytes if table == "executions" else info.node_days_bytes:
            yield from _read(lake.path(table, info.partition), size)


def _runs(path: LakePath) -> Iterator[tuple[str | None, pa.Table]]:
    """A day file's rows, realm by realm."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(readable(path)) as file:
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number)
            encoded = pc.run_end_encode(rows["realm_id"].combine_chunks())
            start = 0
            for realm, end in zip(encoded.values.to_pylist(), encoded.run_ends.to_pylist(), strict=True):
                yield realm, rows.slice(start, end - start)
                start = end


def _read(path: LakePath, size: int) -> Iterator[pa.Table | None]:
    """A partition's rows, as many at a time as it was written with; ``None`` where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.stat().st_size != size:
            yield None
            return
        with pq.ParquetFile(readable(path), pre_buffer=False) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, use_threads=False)
    except (pa.ArrowException, OSError):
        yield None  # the next extraction of the day sees to it
