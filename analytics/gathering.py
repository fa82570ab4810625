"""Rows of many small partitions on their way into one file, in the order of their realms."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import parquet_writer
from analytics.model import Partition, PartitionInfo
from analytics.parquet_writer import ROW_GROUP_ROWS, SMALL_ROWS

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("executions", "node_days")

_HELD_BYTES = 8 << 20
"""Rows wait in memory up to this size; more make a row group."""

_ROW_BYTES = 200
"""About what a row takes without its trace; asking each column takes longer than writing it."""


def order(realm: str | None) -> tuple[bool, str]:
    """By which realms are sorted: the NULL realm last."""
    return (realm is None, realm or "")


class Sink:
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
        self._writer: Any = None

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


class _Pile:
    """What was gathered of one table and day."""

    def __init__(self, path: Path, day: date) -> None:
        self.lock = threading.Lock()
        self.sink = Sink(path, day)
        self.counts: list[tuple[str | None, int]] = []
        self.is_in_order = True


class Gathering:
    """Keeps the rows of small partitions while they are written, so that they need not be read again for their day file.

    Several threads may add rows. A day whose rows do not come in the order of their realms is given up.

    Args:
        workspace: Folder for files on their way.
        days: Of which day files are wanted.
    """

    def __init__(self, workspace: Path, days: Iterable[date]) -> None:
        self._piles = {
            (table, day): _Pile(workspace / f"day-{day}-{table}.tmp", day) for day in days for table in TABLES
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
        if pile is None or row_count >= SMALL_ROWS:
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
