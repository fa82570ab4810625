"""Rows as codes on their way from the server to files: as they come, in memory or on disk, and in the order of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.extraction.encode.dictionaries import Dictionary, Lexicon
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.parquet_writer import Spill

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
            np.empty((rows, copy_tuples.WIDTH), np.int32),
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
        self._numbers = rows.codes[:, copy_tuples.NUMBER].copy()
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


_LAST = np.iinfo(np.int64).max
_AFTER_ALL = b"\xff"  # no UTF-8 text begins so
_IN_MEMORY = 300_000
"""Rows; of a larger portion they wait on disk, 150 bytes each."""


class Portion:
    """Rows of the partitions ``first`` to ``last``.

    Args:
        first, last: Numbers of partitions, inclusive.
        runs: That may hold rows of them.
        disk: Where some of them may lie.

    Attributes:
        first, last: As given.
        lexicon: What codes mean.
        rows: In file order.
        bounds: Partition ``first + i`` has the rows ``bounds[i]`` to ``bounds[i + 1]``.
    """

    def __init__(self, first: int, last: int, runs: Sequence[Run], disk: Spill | None = None) -> None:
        self.first, self.last, self._disk = first, last, disk
        found = [(run, run.between(first, last)) for run in runs]
        self._runs = [run for run, rows in found if len(rows.froms)]
        slices = [rows for _, rows in found if len(rows.froms)]
        dictionaries: list[Dictionary] = []
        for run in self._runs:
            if run.dictionary not in dictionaries:
                dictionaries.append(run.dictionary)
        self.lexicon = Lexicon(dictionaries)
        self._places = np.array([dictionaries.index(run.dictionary) for run in self._runs], np.int64)
        slices = slices or [Rows.room(0)]
        origins = np.repeat(np.arange(len(slices), dtype=np.int32), [len(part.froms) for part in slices])
        codes = np.concatenate([part.codes for part in slices])
        if len(dictionaries) > 1:
            texts = codes[:, copy_tuples.STRATEGY :]
            starts = self.lexicon.texts.starts.astype(np.int32)[self._places[origins]]
            np.add(texts, starts[:, None], out=texts, where=texts >= 0)
        order = self._order(codes, slices)
        codes = self._kept(codes[order])
        # Column by column: a tenant's day may have millions of rows, and two copies of all of them at once are too many.
        ids, times, numbers, froms = (
            self._kept(np.concatenate([getattr(part, name) for part in slices])[order])
            for name in ("ids", "times", "numbers", "froms")
        )
        self.rows, self._origins = Rows(ids, times, numbers, codes, froms), origins[order]
        self.bounds = np.searchsorted(self.rows.codes[:, copy_tuples.NUMBER], np.arange(first, last + 2))

    def entries(self, start: int, end: int) -> tuple[Any, Any]:
        """Codes of heads and values of the entries of some rows, one row after the other."""
        # copies: loops are compiled once more for what lies on disk, which cannot be written
        froms, counts = np.array(self.rows.froms[start:end]), np.array(self.rows.codes[start:end, copy_tuples.ENTRIES])
        origins = self._origins[start:end]
        total = int(counts.sum(dtype=np.int64))
        found = []
        for columns, starts in (
            ([run.heads for run in self._runs], self.lexicon.head_starts),
            ([run.values for run in self._runs], self.lexicon.values.starts),
        ):
            sources = np.array([column.ctypes.data for column in columns], np.int64)
            out = np.empty(total, np.int32)
            aggregate.gather(froms, counts, sources[origins], starts[self._places[origins]], out)
            found.append(out)
        return found[0], found[1]

    def forget_pages(self) -> None:
        """Some rows were written: let go of what was read back from disk for them."""
        if self._disk:
            self._disk.forget_pages()

    def flagged(self, flag: int, start: int = 0, end: int | None = None) -> Any:
        """Which of some rows carry a flag."""
        return self.rows.codes[start:end, copy_tuples.FLAGS] & flag != 0

    def _kept(self, column: Any) -> Any:
        if self._disk is None or len(column) <= _IN_MEMORY:
            return column
        [waiting] = self._disk.keep([column])
        self._disk.forget_pages()  # also what the rows were read from
        return waiting

    def _order(self, codes: Any, slices: Sequence[Rows]) -> Any:
        """File order of all rows together; NULL times last, ids as their text sorts. Gives each strategy one code."""
        strategies, places = np.unique(codes[:, copy_tuples.STRATEGY], return_inverse=True)
        names = [self.lexicon.texts[code].encode() if code >= 0 else _AFTER_ALL for code in strategies.tolist()]
        by_name = {name: rank for rank, name in enumerate(sorted(set(names)))}
        ranks = np.array([by_name[name] for name in names], np.int64)
        if len(by_name) < len(names):  # several dictionaries know the same one
            one_code = dict(zip(names, strategies.tolist(), strict=True))
            codes[:, copy_tuples.STRATEGY] = np.array([one_code[name] for name in names], np.int32)[places]
        versions = codes[:, copy_tuples.VERSION].astype(np.int64) + (1 << 31)
        within = (ranks[places] << 32) + versions
        created = np.concatenate([part.times[:, 0] for part in slices])
        times = np.where(codes[:, copy_tuples.FLAGS] & copy_tuples.NO_CREATED_AT, _LAST, created)
        keys = (times, within, codes[:, copy_tuples.NUMBER])
        order = np.lexsort(keys)
        # Equal times within a strategy are rare: only then do the ids decide.
        sorted_keys = [key[order] for key in keys]
        if len(order) and np.any(np.logical_and.reduce([key[1:] == key[:-1] for key in sorted_keys])):
            halves = np.concatenate([part.ids for part in slices]).view(np.uint64)
            order = np.lexsort((halves[:, 1], halves[:, 0], *keys))
        return order
