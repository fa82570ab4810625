"""From blocks of rows to portions that are ready for their files, with bounded memory.

Rows arrive in no order, but a log grows in time: mostly a day's rows lie together. The server has counted how many rows each
partition has, so a day can be written as soon as that many are there, while later days still arrive. Rows wait as codes, a
few dozen bytes each; where even those become too many (a table in another order) they wait on disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates.sampling_rates import Rates
from analytics.extraction.encode.coded_rows import CodedChunk, CopyDecoder, SortedRows
from analytics.extraction.encode.dictionaries import DictionaryEncoder, array, texts
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.native.memory import BRANCH_PART, NODE_PART, TYPE_PART
from analytics.extraction.encode.parquet_writer import MemoryMap
from analytics.lake import schema
from analytics.model import Fingerprint, Partition

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Bools, Bytes, Codes, Floats, Ints

_TEXTS = (*schema.TEXT_COLUMNS, "trace_irregular")  # in the order of their codes
STATUS = copy_tuples.STRATEGY + _TEXTS.index("status")


def weights(sorted_rows: SortedRows, partitions: Sequence[Partition], rates: Rates) -> Floats:
    """How many runs each row stands for; NaN where the rate is 0 and says nothing.

    A row drawn by the sampler stands for 1/rate runs, by the rate of its tenant at its time; one kept because it failed, for
    itself.

    Args:
        sorted_rows: The rows.
        partitions: Of the portion, first to last.
        rates: Fractions of ok runs that were logged.
    """
    usable = ~sorted_rows.flagged(copy_tuples.NO_CREATED_AT)
    rate = np.empty(len(usable))
    for place, partition in enumerate(partitions):
        rows = slice(int(sorted_rows.bounds[place]), int(sorted_rows.bounds[place + 1]))
        rate[rows] = rates.rates_at(partition.realm, sorted_rows.rows.times[rows, 0], usable[rows])
    statuses = sorted_rows.rows.codes[:, STATUS]
    ok = [code for code in np.unique(statuses).tolist() if code >= 0 and sorted_rows.merged.texts[code] == "ok"]
    drawn = sorted_rows.flagged(copy_tuples.SAMPLED) & np.isin(statuses, ok)
    rate[rate == 0] = np.nan
    found = np.divide(1.0, rate, out=rate)  # in place: a portion may have millions of rows
    found[~drawn] = 1.0
    return found


_REPEATED = 3
"""Values of traces that are met less often than this, on average, are as small without a dictionary, and sooner written."""


def has_plain_values(table: pa.Table) -> bool:
    """Values of the traces are no dictionary."""
    import pyarrow as pa

    return not pa.types.is_dictionary(table.schema.field("trace").type.value_type.field("value").type)


class Columns:
    """Makes tables of a portion's rows.

    Args:
        sorted_rows: The rows.
        row_weights: How many runs each stands for; NaN where that is unknown.
    """

    def __init__(self, sorted_rows: SortedRows, row_weights: Floats) -> None:
        self._sorted_rows, self._weights = sorted_rows, row_weights
        self._coder = DictionaryEncoder(sorted_rows.merged)

    def table(self, start: int, end: int, *, coded: bool, plain_values: bool | None = None) -> pa.Table:
        """Some rows with the columns of ``schema.execution_schema()``.

        Args:
            start, end: Which.
            coded: Texts as dictionaries, which a Parquet file stores without looking at each; else as plain texts.
            plain_values: Values of traces as plain texts all the same; when not given, where they hardly repeat.
        """
        import pyarrow as pa

        sorted_rows = self._sorted_rows
        rows = sorted_rows.rows.take(slice(start, end))
        flags = rows.codes[:, copy_tuples.FLAGS]
        utc = pa.timestamp("us", tz="UTC")
        made: dict[str, pa.Array] = {
            "execution_id": texts_of_ids(rows.ids),
            "created_at": array(rows.times[:, 0], flags & copy_tuples.NO_CREATED_AT != 0, utc),
            "updated_at": array(rows.times[:, 1], flags & copy_tuples.NO_UPDATED_AT != 0, utc),
            "points": array(rows.numbers[:, 0], flags & copy_tuples.NO_POINTS != 0),
            "duration_ms": array(rows.numbers[:, 1], flags & copy_tuples.NO_DURATION != 0),
            "strategy_version": array(rows.codes[:, copy_tuples.VERSION], flags & copy_tuples.NO_VERSION != 0),
            "nodes_executed": array(rows.codes[:, copy_tuples.NODES], flags & copy_tuples.NO_NODES != 0),
            "sampled": array(flags & copy_tuples.SAMPLED != 0, flags & copy_tuples.NO_SAMPLED != 0),
            "trace": self._trace(
                *(start, end, rows.codes[:, copy_tuples.ENTRIES], flags & copy_tuples.NO_LIST != 0, coded),
                plain_values=plain_values,
            ),
        }
        some = self._weights[start:end]
        made["sample_weight"] = array(some, np.isnan(some))
        for place, name in enumerate(_TEXTS, copy_tuples.STRATEGY):
            codes = np.ascontiguousarray(rows.codes[:, place])
            made[name] = _spelled(self._coder.texts(codes), coded)
        names = schema.execution_schema().names
        return pa.table([made[name] for name in names], names=names)

    def _trace(
        self, start: int, end: int, counts: Codes, absent: Bools, coded: bool, *, plain_values: bool | None
    ) -> pa.ListArray:
        import pyarrow as pa

        coder, merged = self._coder, self._sorted_rows.merged
        templates, values = self._sorted_rows.entries(start, end)
        offsets = np.zeros(len(counts) + 1, np.int32)
        np.cumsum(counts, out=offsets[1:])
        compacted = coder.compact(values)
        number = np.empty(len(values), np.float64)
        no_number = np.empty(len(values), bool)
        aggregate.numbers_of(compacted.indices, *merged.facts(compacted.used), number, no_number)
        part = np.empty(len(templates), np.int32)
        fields = []
        for place in (NODE_PART, TYPE_PART, BRANCH_PART):
            aggregate.part_of(templates, merged.parts, place, part)
            fields.append(_spelled(coder.texts(part), coded))
        if plain_values is None:
            plain_values = coded and _REPEATED * len(compacted.used) > len(values)
        if plain_values:
            fields.append(coder.plain(compacted, merged.values))
        else:
            fields.append(_spelled(coder.spelled(compacted, merged.values), coded))
        fields.append(array(number, no_number))
        entries = pa.StructArray.from_arrays(fields, names=["node_id", "type", "branch", "value", "value_number"])
        return pa.ListArray.from_arrays(array(offsets), entries, mask=array(absent))


def _spelled(found: pa.DictionaryArray, coded: bool) -> pa.Array:
    return found if coded else found.dictionary_decode()


def texts_of_ids(halves: Ints) -> pa.StringArray:
    """Execution ids, of two halves each, as text."""
    data = np.empty(len(halves) * copy_tuples.UUID_SIZE, np.uint8)
    copy_tuples.write_uuids(np.array(halves), data)
    return texts(data, np.arange(len(halves) + 1, dtype=np.int32) * copy_tuples.UUID_SIZE)


HELD_BYTES = 64 << 20
"""Rows that wait in memory; more of them wait on disk."""

SORTED_ROWS = 500_000
"""Partitions are written together up to this many rows."""


class RowBuffer:
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
        self._disk, self._held_bytes = MemoryMap(workspace), held_bytes
        numbers = {partition: number for number, partition in enumerate(self.partitions)}
        self._decoder = CopyDecoder(numbers.get, self._disk)
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
        self._chunks: list[CodedChunk] = []

    def load(self, blocks: Iterable[Bytes]) -> Iterator[tuple[int, int]]:
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

    def keep(self, blocks: Iterable[Bytes]) -> None:
        """Take in rows that only the lake still holds."""
        for block in blocks:
            for _ in self._take(block, is_kept=True):
                pass

    def ids(self, number: int) -> pa.StringArray:
        """Execution ids of a partition's rows."""
        self._flush()
        found = [chunk.between(number, number).ids for chunk in self._chunks]
        return texts_of_ids(np.concatenate([np.empty((0, 2), np.int64), *found]))

    def sorted_rows(self, first: int, last: int) -> SortedRows:
        """The rows of partitions ``first`` to ``last``; the stage forgets them."""
        self._flush()
        sorted_rows = SortedRows(first, last, self._chunks, self._disk)
        for chunk in self._chunks:
            chunk.rows_left -= len(chunk.between(first, last).froms)
        self._chunks = [chunk for chunk in self._chunks if chunk.rows_left]
        return sorted_rows

    def groups(self) -> Iterator[tuple[int, int]]:
        """All partitions, as many together as are written at once."""
        for ends in self._ends:
            yield from self._groups(*ends)

    def close(self) -> None:
        """Forget everything."""
        self._chunks = []
        self._disk.close()

    def _take(self, block: Bytes, *, is_kept: bool = False) -> Iterator[Codes]:
        """Partition numbers of the rows taken in."""
        for found in self._decoder.read(block, is_kept=is_kept):
            if isinstance(found, CodedChunk):
                self._hold(found)
            else:
                yield found

    def _counted(self, numbers: Codes) -> Iterator[int]:
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
            if rows and rows + count > SORTED_ROWS:
                yield start, number - 1
                start, rows = number, 0
            rows += count
        yield start, last

    def _flush(self) -> None:
        if self._decoder.has_rows:
            self._hold(self._decoder.finish())

    def _hold(self, chunk: CodedChunk) -> None:
        self._chunks.append(chunk)
        held = sum(chunk.size for chunk in self._chunks)
        for waiting in self._chunks:  # the oldest first
            if held <= self._held_bytes:
                break
            if waiting.size:
                held -= waiting.size
                waiting.move_to(self._disk)
