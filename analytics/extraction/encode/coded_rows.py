"""Rows as codes on their way from the server to files: decoded from a binary COPY, in memory or on disk, in the order of a file."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from analytics.errors import SourceError
from analytics.extraction.encode.dictionaries import Dictionary, MergedDictionary
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.native.memory import PADDING
from analytics.extraction.encode.native.trace_parser import LITERALS
from analytics.extraction.encode.parquet_writer import MemoryMap
from analytics.model import Partition

if TYPE_CHECKING:
    from analytics.estimates.arrays import Array, Bools, Bytes, Codes, Floats, Ints

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


_DAY = 86_400_000_000  # microseconds
_EPOCH = date(1970, 1, 1).toordinal()
_UNDATED = -(1 << 30)  # no day of any year
_HALF = 1 << 31
_literals = np.frombuffer(LITERALS, np.uint8)


class CopyDecoder:
    """Takes in rows and gives out runs.

    Args:
        number_of: The number of a planned partition; ``None`` for others, whose rows are dropped.
        disk: For texts that wait for their files; they stay in memory when not given.
    """

    def __init__(self, number_of: Callable[[Partition], int | None], disk: MemoryMap | None = None) -> None:
        self._number_of, self._disk = number_of, disk
        self._dictionary = Dictionary()
        self._known: dict[int, int] = {}  # realm's code and day → partition's number
        self._rows = CodedRows.room(ROWS)
        self._templates, self._values = np.empty(ENTRIES, np.int32), np.empty(ENTRIES, np.int32)
        self._row = self._entry = 0

    @property
    def has_rows(self) -> bool:
        """There is something to ``finish``."""
        return self._row > 0

    def read(self, block: Bytes, *, is_kept: bool = False) -> Iterator[CodedChunk | Codes]:
        """Take in the tuples of a block.

        Args:
            block: Bytes (uint8), whole tuples, followed by ``PADDING`` readable bytes that are not part of it.
            is_kept: The rows come from the lake, not from the source.

        Yields:
            Each run that became full, and the partitions' numbers of rows taken in.
        """
        address, size = int(block.ctypes.data), block.size
        while True:
            first = self._row
            consumed, self._row, self._entry, why, length, at = self._tuples(address, size, is_kept)
            if why == copy_tuples.HARD_TRACE:
                self._exactly(ctypes.string_at(at, length))
            if self._row > first:
                yield self._numbered(first)
            address, size = address + consumed, size - consumed
            if why in (copy_tuples.MORE, copy_tuples.ENDED):
                if why == copy_tuples.MORE and size:
                    raise SourceError("the server's stream ended within a row", hint="run again")
                return
            if why == copy_tuples.MALFORMED:
                raise SourceError(
                    "the server's stream is not in PostgreSQL's binary COPY format",
                    hint="is there a proxy between? connect to PostgreSQL itself",
                )
            if why == copy_tuples.HARD_TRACE:
                continue
            if self._row:
                yield self.finish()
            if why == copy_tuples.DICTIONARY_FULL:
                self._dictionary.close(self._disk)
                self._dictionary, self._known = Dictionary(length), {}
            elif self._templates.size < length // 2 + 1:
                self._templates = np.empty(length // 2 + 1, np.int32)
                self._values = np.empty(length // 2 + 1, np.int32)

    def finish(self) -> CodedChunk:
        """The run as it is; the next one begins."""
        rows = self._rows.take(slice(0, self._row))
        codes = rows.codes
        order = np.argsort(codes[:, copy_tuples.NUMBER], kind="stable")
        order = order[np.searchsorted(codes[order, copy_tuples.NUMBER], 0) :]  # rows of no planned partition have -1
        ordered = rows.take(order)
        counts = ordered.codes[:, copy_tuples.ENTRIES]
        total = int(counts.sum(dtype=np.int64))
        templates, values = np.empty(total, np.int32), np.empty(total, np.int32)
        nowhere = np.zeros(len(order), np.int64)
        for source, out in ((self._templates, templates), (self._values, values)):
            aggregate.gather(ordered.froms, counts, np.full(len(order), source.ctypes.data, np.int64), nowhere, out)
        ordered.froms = np.cumsum(counts, dtype=np.int64) - counts
        self._row = self._entry = 0
        return CodedChunk(ordered, templates, values, self._dictionary)

    def _tuples(self, address: int, size: int, is_kept: bool) -> tuple[int, ...]:
        dictionary, rows = self._dictionary, self._rows
        ids, times, numbers, codes, froms = rows.arrays
        return copy_tuples.read_tuples(
            (dictionary.names.address, dictionary.values.address, dictionary.templates.address),
            _literals.ctypes.data,
            (address, size),
            (ids.ctypes.data, times.ctypes.data, numbers.ctypes.data, codes.ctypes.data, froms.ctypes.data),
            (self._row, len(rows.froms)),
            (self._templates.ctypes.data, self._values.ctypes.data),
            (self._entry, self._templates.size),
            copy_tuples.RETAINED if is_kept else 0,
        )

    def _exactly(self, text: bytes) -> None:
        """The last row's trace, by the exact reader."""
        try:
            decoded = text.decode()
        except UnicodeDecodeError as error:
            raise SourceError(
                f"a trace holds text that is not UTF-8: {error}",
                hint="the database's encoding is SQL_ASCII, which checks nothing; mend the row at the source",
            ) from None
        templates, values, is_exact = self._dictionary.add_exactly(decoded)
        codes = self._rows.codes[self._row - 1]
        end = self._entry + len(templates)
        self._templates[self._entry : end], self._values[self._entry : end] = templates, values
        codes[copy_tuples.ENTRIES] = len(templates)
        self._entry = end
        if not is_exact:
            codes[copy_tuples.IRREGULAR] = self._dictionary.names.code(text)
            if not decoded.startswith("["):
                codes[copy_tuples.FLAGS] |= copy_tuples.NO_LIST

    def _numbered(self, first: int) -> Codes:
        """Give the rows from ``first`` on their partitions' numbers."""
        codes = self._rows.codes[first : self._row]
        days = self._rows.times[first : self._row, 0] // _DAY
        days[codes[:, copy_tuples.FLAGS] & copy_tuples.NO_CREATED_AT != 0] = _UNDATED
        keys, places = np.unique((codes[:, copy_tuples.REALM].astype(np.int64) << 32) + days, return_inverse=True)
        numbers = np.array([self._number(int(key)) for key in keys], np.int32)
        codes[:, copy_tuples.NUMBER] = numbers[places]
        return codes[:, copy_tuples.NUMBER]

    def _number(self, key: int) -> int:
        if key not in self._known:
            realm, day = (key + _HALF) >> 32, ((key + _HALF) & 0xFFFFFFFF) - _HALF
            when = None if day == _UNDATED else date.fromordinal(_EPOCH + day)
            number = self._number_of(Partition(self._dictionary.text_of(realm), when))
            self._known[key] = -1 if number is None else number
        return self._known[key]


def padded(data: bytes | bytearray) -> Bytes:
    """Bytes as a block that ``Decoder.read`` takes."""
    return np.frombuffer(bytes(data) + bytes(PADDING), np.uint8)[: len(data)]
