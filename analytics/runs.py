"""Rows on their way from the server to files, as codes: in memory while there is room, on disk when there is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.dictionary import Dictionary
from analytics.native import tuples
from analytics.spill import Spill

ROWS, ENTRIES = 32_768, 1_000_000
"""Of a run: about 12 MB."""


@dataclass(slots=True)
class Rows:
    """Columns of some rows, each an array whose first axis is the row.

    Attributes:
        ids: Execution ids as two signed halves.
        times: ``created_at`` and ``updated_at``, microseconds since 1970.
        numbers: Points and milliseconds.
        codes: See ``native.tuples``: partition's number, flags, count of entries, version, nodes, codes of texts.
        froms: Place of the first trace entry in the run.
    """

    ids: Any
    times: Any
    numbers: Any
    codes: Any
    froms: Any

    @classmethod
    def room(cls, rows: int) -> Rows:
        """Arrays for so many rows, not yet filled."""
        return cls(
            np.empty((rows, 2), np.int64),
            np.empty((rows, 2), np.int64),
            np.empty((rows, 2), np.float64),
            np.empty((rows, tuples.WIDTH), np.int32),
            np.empty(rows, np.int64),
        )

    def take(self, which: Any) -> Rows:
        """Some rows, by position or slice."""
        return Rows(self.ids[which], self.times[which], self.numbers[which], self.codes[which], self.froms[which])

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All columns."""
        return (self.ids, self.times, self.numbers, self.codes, self.froms)


class Run:
    """Some rows in the order of their partitions' numbers, with their trace entries.

    Args:
        rows: Sorted by partition.
        heads, values: Codes of the entries.
        dictionary: What the codes mean.
    """

    def __init__(self, rows: Rows, heads: Any, values: Any, dictionary: Dictionary) -> None:
        self.rows, self.heads, self.values, self.dictionary = rows, heads, values, dictionary
        self._numbers = rows.codes[:, tuples.NUMBER].copy()
        self.rows_left = len(self._numbers)
        self._is_on_disk = False

    @property
    def size(self) -> int:
        """Bytes in memory; 0 once it is on disk."""
        if self._is_on_disk:
            return 0
        return int(sum(array.nbytes for array in (*self.rows.arrays, self.heads, self.values)))

    def between(self, first: int, last: int) -> Rows:
        """The rows of partitions ``first`` to ``last``, inclusive."""
        start, end = np.searchsorted(self._numbers, [first, last + 1])
        return self.rows.take(slice(start, end))

    def spill(self, disk: Spill) -> None:
        """Move everything to disk."""
        mapped = disk.keep([*self.rows.arrays, self.heads, self.values])
        self._is_on_disk = True
        self.rows, (self.heads, self.values) = Rows(*mapped[:5]), mapped[5:]
