"""Blocks of a binary COPY → runs of coded rows."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from analytics.errors import SourceError
from analytics.extraction.encode.coded_rows import ENTRIES, ROWS, CodedChunk, CodedRows
from analytics.extraction.encode.dictionaries import Dictionary
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.native.memory import PADDING
from analytics.extraction.encode.native.trace_parser import LITERALS
from analytics.extraction.encode.parquet_writer import MemoryMap
from analytics.model import Partition

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bytes, Codes

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
