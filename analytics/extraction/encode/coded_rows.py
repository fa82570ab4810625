"""Rows as codes on their way from the server to files: as they come, in memory or on disk, and in the order of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.extraction.encode.dictionaries import Dictionary, MergedDictionary
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.parquet_writer import MemoryMap

if TYPE_CHECKING:
    from analytics.estimates.arrays import Array, Bools, Codes, Floats, Ints

ROWS, ENTRIES = 32_768, 1_000_000
"""Of a run: about 12 MB."""


@dataclass(slots=True)
class CodedRows:
    """Columns of some rows, each an array whose first axis is the row.

    Attributes:
        ids: Execution ids as two signed halves.
        times: ``created_at`` and ``updated_at``, microseconds since 1970.
        numbers: Points and milliseconds.
        codes: See ``native.copy_tuples``: partition's number, flags, count of entries, version, nodes, codes of texts.
        froms: Place of the first trace entry in the run.
    """

    ids: Ints
    times: Ints
    numbers: Floats
    codes: Codes
    froms: Ints

    @classmethod
    def room(cls, rows: int) -> CodedRows:
        """Arrays for so many rows, not yet filled."""
        return cls(
            np.empty((rows, 2), np.int64),
            np.empty((rows, 2), np.int64),
            np.empty((rows, 2), np.float64),
            np.empty((rows, copy_tuples.WIDTH), np.int32),
            np.empty(rows, np.int64),
        )

    def take(self, which: Ints | slice) -> CodedRows:
        """Some rows, by position or slice."""
        return CodedRows(self.ids[which], self.times[which], self.numbers[which], self.codes[which], self.froms[which])

    @property
    def arrays(self) -> tuple[Array, ...]:
        """All columns."""
        return (self.ids, self.times, self.numbers, self.codes, self.froms)


class CodedChunk:
    """Some rows in the order of their partitions' numbers, with their trace entries.

    Args:
        rows: Sorted by partition.
        templates, values: Codes of the entries.
        dictionary: What the codes mean.
    """

    def __init__(self, rows: CodedRows, templates: Codes, values: Codes, dictionary: Dictionary) -> None:
        self.rows, self.templates, self.values, self.dictionary = rows, templates, values, dictionary
        self._numbers = rows.codes[:, copy_tuples.NUMBER].copy()
        self.rows_left = len(self._numbers)
        self._is_on_disk = False

    @property
    def size(self) -> int:
        """Bytes in memory; 0 once it is on disk."""
        if self._is_on_disk:
            return 0
        return int(sum(array.nbytes for array in (*self.rows.arrays, self.templates, self.values)))

    def between(self, first: int, last: int) -> CodedRows:
        """The rows of partitions ``first`` to ``last``, inclusive."""
        start, end = np.searchsorted(self._numbers, [first, last + 1])
        return self.rows.take(slice(start, end))

    def move_to(self, disk: MemoryMap) -> None:
        """Move everything to disk."""
        mapped = disk.keep([*self.rows.arrays, self.templates, self.values])
        self._is_on_disk = True
        self.rows, (self.templates, self.values) = CodedRows(*mapped[:5]), mapped[5:]


_LAST = np.iinfo(np.int64).max
_AFTER_ALL = b"\xff"  # no UTF-8 text begins so
_IN_MEMORY = 300_000
"""Rows; of a larger portion they wait on disk, 150 bytes each."""


class SortedRows:
    """Rows of the partitions ``first`` to ``last``.

    Args:
        first, last: Numbers of partitions, inclusive.
        chunks: That may hold rows of them.
        disk: Where some of them may lie.

    Attributes:
        first, last: As given.
        merged: What codes mean.
        rows: In file order.
        bounds: Partition ``first + i`` has the rows ``bounds[i]`` to ``bounds[i + 1]``.
    """

    def __init__(self, first: int, last: int, chunks: Sequence[CodedChunk], disk: MemoryMap | None = None) -> None:
        self.first, self.last, self._disk = first, last, disk
        found = [(chunk, chunk.between(first, last)) for chunk in chunks]
        self._chunks = [chunk for chunk, rows in found if len(rows.froms)]
        slices = [rows for _, rows in found if len(rows.froms)]
        dictionaries: list[Dictionary] = []
        for chunk in self._chunks:
            if chunk.dictionary not in dictionaries:
                dictionaries.append(chunk.dictionary)
        self.merged = MergedDictionary(dictionaries)
        self._places = np.array([dictionaries.index(chunk.dictionary) for chunk in self._chunks], np.int64)
        slices = slices or [CodedRows.room(0)]
        origins = np.repeat(np.arange(len(slices), dtype=np.int32), [len(part.froms) for part in slices])
        codes = np.concatenate([part.codes for part in slices])
        if len(dictionaries) > 1:
            texts = codes[:, copy_tuples.STRATEGY :]
            starts = self.merged.texts.starts.astype(np.int32)[self._places[origins]]
            np.add(texts, starts[:, None], out=texts, where=texts >= 0)
        order = self._order(codes, slices)
        codes = self._kept(codes[order])
        # Column by column: a tenant's day may have millions of rows, and two copies of all of them at once are too many.
        ids, times, numbers, froms = (
            self._kept(np.concatenate([getattr(part, name) for part in slices])[order])
            for name in ("ids", "times", "numbers", "froms")
        )
        self.rows, self._origins = CodedRows(ids, times, numbers, codes, froms), origins[order]
        self.bounds = np.searchsorted(self.rows.codes[:, copy_tuples.NUMBER], np.arange(first, last + 2))

    def entries(self, start: int, end: int) -> tuple[Codes, Codes]:
        """Codes of templates and values of the entries of some rows, one row after the other."""
        # copies: loops are compiled once more for what lies on disk, which cannot be written
        froms, counts = np.array(self.rows.froms[start:end]), np.array(self.rows.codes[start:end, copy_tuples.ENTRIES])
        origins = self._origins[start:end]
        total = int(counts.sum(dtype=np.int64))
        found = []
        for columns, starts in (
            ([chunk.templates for chunk in self._chunks], self.merged.template_starts),
            ([chunk.values for chunk in self._chunks], self.merged.values.starts),
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

    def flagged(self, flag: int, start: int = 0, end: int | None = None) -> Bools:
        """Which of some rows carry a flag."""
        flags: Codes = self.rows.codes[start:end, copy_tuples.FLAGS]
        return (flags & flag).astype(bool)

    def _kept(self, column: Array) -> Array:
        if self._disk is None or len(column) <= _IN_MEMORY:
            return column
        [waiting] = self._disk.keep([column])
        self._disk.forget_pages()  # also what the rows were read from
        return waiting

    def _order(self, codes: Codes, slices: Sequence[CodedRows]) -> Ints:
        """File order of all rows together; NULL times last, ids as their text sorts. Gives each strategy one code."""
        strategies, places = np.unique(codes[:, copy_tuples.STRATEGY], return_inverse=True)
        names = [self.merged.texts[code].encode() if code >= 0 else _AFTER_ALL for code in strategies.tolist()]
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
