"""From blocks of rows to portions that are ready for their files, with bounded memory.

Rows arrive in no order, but a log grows in time: mostly a day's rows lie together. The server has counted how many rows each
partition has, so a day can be written as soon as that many are there, while later days still arrive. Rows wait as codes, a
few dozen bytes each; where even those become too many (a table in another order) they wait on disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.extraction.encode.arrow_columns import texts_of_ids
from analytics.extraction.encode.coded_rows import Portion, Run
from analytics.extraction.encode.copy_decoder import Decoder
from analytics.extraction.encode.spill import Spill
from analytics.model import Fingerprint, Partition

if TYPE_CHECKING:
    import pyarrow as pa

HELD_BYTES = 64 << 20
"""Rows that wait in memory; more of them wait on disk."""

PORTION_ROWS = 500_000
"""Partitions are written together up to this many rows."""


class Stage:
    """The rows of some partitions on their way from the server to files.

    Args:
        workspace: Folder for rows that do not fit into memory.
        expected: The partitions, days together, with what the server counted. The position of a partition is its number;
            rows of others are dropped.
        held_bytes: Rows that wait in memory.
    """

    def __init__(
        self, workspace: Path, expected: Mapping[Partition, Fingerprint], *, held_bytes: int = HELD_BYTES
    ) -> None:
        self.partitions = tuple(expected)
        self._disk, self._held_bytes = Spill(workspace), held_bytes
        numbers = {partition: number for number, partition in enumerate(self.partitions)}
        self._decoder = Decoder(numbers.get, self._disk)
        self._counts = np.array([fingerprint.row_count for fingerprint in expected.values()], np.int64)
        # rows still to come, and first and last number, of each day
        self._missing: Counter[int] = Counter()
        self._day_of = np.empty(len(numbers), np.int64)
        self._ends: list[tuple[int, int]] = []
        for partition, number in numbers.items():
            if not self._ends or self.partitions[number - 1].day != partition.day:
                self._ends.append((number, number))
            self._ends[-1] = (self._ends[-1][0], number)
            self._day_of[number] = len(self._ends) - 1
            self._missing[len(self._ends) - 1] += int(self._counts[number])
        self._runs: list[Run] = []

    def load(self, blocks: Iterable[Any]) -> Iterator[tuple[int, int]]:
        """Take in blocks of COPY tuples.

        Yields:
            First and last number of partitions of which all rows are there now. Those without any row are never named.
        """
        for block in blocks:
            ready = [day for found in self._take(block) for day in self._counted(found)]
            for day in ready:
                yield from self._groups(*self._ends[day])
        if self._decoder.has_rows:
            self._hold(self._decoder.finish())

    def keep(self, blocks: Iterable[Any]) -> None:
        """Take in rows that only the lake still holds."""
        for block in blocks:
            for _ in self._take(block, is_kept=True):
                pass

    def ids(self, number: int) -> pa.StringArray:
        """Execution ids of a partition's rows."""
        self._flush()
        found = [run.between(number, number).ids for run in self._runs]
        return texts_of_ids(np.concatenate([np.empty((0, 2), np.int64), *found]))

    def portion(self, first: int, last: int) -> Portion:
        """The rows of partitions ``first`` to ``last``; the stage forgets them."""
        self._flush()
        portion = Portion(first, last, self._runs, self._disk)
        for run in self._runs:
            run.rows_left -= len(run.between(first, last).froms)
        self._runs = [run for run in self._runs if run.rows_left]
        return portion

    def groups(self) -> Iterator[tuple[int, int]]:
        """All partitions, as many together as are written at once."""
        for ends in self._ends:
            yield from self._groups(*ends)

    def close(self) -> None:
        """Forget everything."""
        self._runs = []
        self._disk.close()

    def _take(self, block: Any, *, is_kept: bool = False) -> Iterator[Any]:
        """Partition numbers of the rows taken in."""
        for found in self._decoder.read(block, is_kept=is_kept):
            if isinstance(found, Run):
                self._hold(found)
            else:
                yield found

    def _counted(self, numbers: Any) -> Iterator[int]:
        """Days that these rows complete."""
        days, counts = np.unique(self._day_of[numbers[numbers >= 0]], return_counts=True)
        for day, count in zip(days.tolist(), counts.tolist(), strict=True):
            self._missing[day] -= count
            if self._missing[day] == 0:
                yield day

    def _groups(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        start, rows = first, 0
        for number in range(first, last + 1):
            count = int(self._counts[number])
            if rows and rows + count > PORTION_ROWS:
                yield start, number - 1
                start, rows = number, 0
            rows += count
        yield start, last

    def _flush(self) -> None:
        if self._decoder.has_rows:
            self._hold(self._decoder.finish())

    def _hold(self, run: Run) -> None:
        self._runs.append(run)
        held = sum(run.size for run in self._runs)
        for waiting in self._runs:  # the oldest first
            if held <= self._held_bytes:
                break
            if waiting.size:
                held -= waiting.size
                waiting.spill(self._disk)
