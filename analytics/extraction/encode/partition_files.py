"""From a portion of rows to finished, verified partition files, and what they sum up by node and day."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from analytics.errors import VerificationError
from analytics.estimates.sampling_rates import Rates, RateStep, described
from analytics.extraction.encode import parquet_writer
from analytics.extraction.encode.coded_rows import SortedRows
from analytics.extraction.encode.dictionaries import DictionaryEncoder, MergedDictionary, array, texts, to_numpy
from analytics.extraction.encode.native import aggregate, copy_tuples
from analytics.extraction.encode.native.memory import BRANCH_PART, NODE_PART, TYPE_PART
from analytics.extraction.encode.parquet_writer import ROW_GROUP_BYTES, ROW_GROUP_ENTRIES, SMALL_ROWS
from analytics.extraction.encode.row_buffer import STATUS, Columns, has_plain_values, weights
from analytics.extraction.privacy.row_filter import ExcludedRows
from analytics.lake import schema
from analytics.model import Fingerprint, Partition, PartitionInfo
from analytics.source.table_check import ids_twice

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Codes, Floats, Ints

_ROWS = 20_000  # at a time
_NAMES = {"node_id": NODE_PART, "type": TYPE_PART, "branch": BRANCH_PART}


class Rollup:
    """The rollup of a portion, in file order: partition, strategy, version, then node id, type and branch as text sorts.

    Args:
        sorted_rows: The rows.
        weights: How many runs each row stands for; NaN where that is unknown.

    Attributes:
        bounds: The portion's partition ``i`` has the rows ``bounds[i]`` to ``bounds[i + 1]``.
    """

    def __init__(self, sorted_rows: SortedRows, weights: Floats) -> None:
        self._sorted_rows, self._coder = sorted_rows, DictionaryEncoder(sorted_rows.merged)
        units, firsts = _units(sorted_rows)
        whole, real = _partial_sums(sorted_rows, self._coder, units, np.nan_to_num(weights, nan=0.0))
        ranks, parts = _ranked(sorted_rows.merged, whole[:, 1])
        # Units are in file order already. A long one was counted in pieces: equal keys are added up.
        keys = whole[:, 0] * (len(parts) + 1) + ranks[whole[:, 1]]
        order = np.argsort(keys, kind="stable")
        keys, self._whole, self._real = keys[order], whole[order, 2:], real[order]
        at = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
        if len(at) < len(keys):
            least = np.minimum.reduceat(self._real[:, aggregate.LEAST], at)
            greatest = np.maximum.reduceat(self._real[:, aggregate.GREATEST], at)
            self._whole, self._real = np.add.reduceat(self._whole, at), np.add.reduceat(self._real, at)
            self._real[:, aggregate.LEAST], self._real[:, aggregate.GREATEST] = least, greatest
        self._units = sorted_rows.rows.codes[firsts][whole[order[at], 0]]
        self._parts = parts[keys[at] % (len(parts) + 1)]
        self.bounds = np.searchsorted(
            self._units[:, copy_tuples.NUMBER], np.arange(sorted_rows.first, sorted_rows.last + 2)
        )

    def table(self, place: int, realm: str | None) -> pa.Table:
        """The rollup of one partition, with the columns of ``schema.node_day_schema()``; texts as dictionaries.

        Args:
            place: Of the partition within the portion.
            realm: Its tenant.
        """
        import pyarrow as pa

        which = slice(self.bounds[place], self.bounds[place + 1])
        units, whole, real = self._units[which], self._whole[which], self._real[which]
        name = (realm or "").encode()
        no_realm = np.full(len(units), realm is None)
        realms = pa.DictionaryArray.from_arrays(
            array(np.zeros(len(units), np.int32), no_realm),
            texts(np.frombuffer(name, np.uint8), np.array([0, len(name)], np.int32)),
        )

        def number(column: int, count: int) -> pa.Array:
            return array(real[:, column], whole[:, count] == 0)

        made = {
            "realm_id": realms,
            "strategy_id": self._coder.texts(np.ascontiguousarray(units[:, copy_tuples.STRATEGY])),
            "strategy_version": array(units[:, copy_tuples.VERSION]),
            **{
                name: self._coder.texts(np.ascontiguousarray(self._parts[which, part])) for name, part in _NAMES.items()
            },
            "entry_count": array(whole[:, aggregate.COUNT]),
            # a rate of 0 says nothing of how many runs there were: no known weight is below 1, so 0 means that none was known
            "est_entries": array(real[:, aggregate.WEIGHT], real[:, aggregate.WEIGHT] == 0),
            "true_count": array(whole[:, aggregate.TRUES]),
            "false_count": array(whole[:, aggregate.FALSES]),
            "null_count": array(whole[:, aggregate.NULLS]),
            "text_count": array(whole[:, aggregate.TEXTS]),
            "number_count": array(whole[:, aggregate.NUMBERS]),
            "number_sum": number(aggregate.SUM, aggregate.FINITE),
            "number_sum_squares": number(aggregate.SQUARES, aggregate.SQUARED),
            "number_min": number(aggregate.LEAST, aggregate.NUMBERS),
            "number_max": number(aggregate.GREATEST, aggregate.NUMBERS),
        }
        names = schema.node_day_schema().names
        return pa.table([made[name] for name in names], names=names)


def _units(sorted_rows: SortedRows) -> tuple[Ints, Ints]:
    """Of each row a number that changes with partition, strategy or version; and the first row of each."""
    rows = sorted_rows.rows.codes
    if not len(rows):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    changes = np.zeros(len(rows), bool)
    for column in (copy_tuples.NUMBER, copy_tuples.STRATEGY, copy_tuples.VERSION):
        changes[1:] |= rows[1:, column] != rows[:-1, column]
    return np.cumsum(changes), np.concatenate([[0], np.flatnonzero(changes)])


def _partial_sums(
    sorted_rows: SortedRows, coder: DictionaryEncoder, units: Ints, weights: Floats
) -> tuple[Ints, Floats]:
    """Sums per unit and template, a few thousand rows at a time; see ``aggregate.roll_up``."""
    merged = sorted_rows.merged
    scratch = np.full(len(merged.parts), -1, np.int32)
    whole, real = [np.empty((0, 10), np.int64)], [np.empty((0, 5), np.float64)]
    for start in range(0, len(units), _ROWS):
        end = min(start + _ROWS, len(units))
        templates, values = sorted_rows.entries(start, end)
        counts = np.array(sorted_rows.rows.codes[start:end, copy_tuples.ENTRIES])
        if merged.is_single:
            kinds, numbers = merged.all_facts()
        else:
            compacted = coder.compact(values)
            values, (kinds, numbers) = compacted.indices, merged.facts(compacted.used)
        some, more = np.empty((len(templates), 10), np.int64), np.empty((len(templates), 5), np.float64)
        count = aggregate.roll_up(
            *(units[start:end], counts, weights[start:end], (templates, values), (kinds, numbers), scratch),
            (some, more),
        )
        whole.append(some[:count].copy())
        real.append(more[:count].copy())
    return np.concatenate(whole), np.concatenate(real)


def _ranked(merged: MergedDictionary, templates: Ints) -> tuple[Ints, Codes]:
    """By template, the place of its names among those that occur, as text sorts and NULL last; and the sorted names' codes."""
    import pyarrow as pa

    used = np.flatnonzero(np.bincount(templates, minlength=1))
    columns = merged.parts
    parts, places = np.unique(columns[used], axis=0, return_inverse=True)
    names = {name: _names(merged, parts[:, part]) for name, part in _NAMES.items()}
    table = pa.table({**names, "place": array(np.arange(len(parts)))}).sort_by([(name, "ascending") for name in names])
    order = to_numpy(table["place"].combine_chunks())
    ranks_of_parts = np.empty(len(parts), np.int64)
    ranks_of_parts[order] = np.arange(len(parts))
    ranks = np.zeros(len(merged.parts), np.int64)
    ranks[used] = ranks_of_parts[places.reshape(-1)]
    return ranks, parts[order]


def _names(merged: MergedDictionary, codes: Codes) -> pa.StringArray:
    """Texts of some codes in any order; -1 is NULL."""
    some, places = np.unique(codes[codes >= 0], return_inverse=True)
    indices = np.full(len(codes), -1, np.int64)
    indices[codes >= 0] = places
    return merged.texts.take(some).take(array(indices, indices < 0))


Gather: TypeAlias = "Callable[[str, Partition, pa.Table, int], None]"

ROW_GROUP_ROWS = parquet_writer.ROW_GROUP_ROWS


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """A partition's finished files, not yet in their place, and the strategies that its runs name."""

    executions: Path
    node_days: Path | None
    info: PartitionInfo
    strategies: frozenset[str]


def write(
    sorted_rows: SortedRows,
    partitions: Sequence[Partition],
    fingerprints: Mapping[Partition, Fingerprint],
    workspace: Path,
    rates: Rates,
    gather: Gather | None = None,
    excluded: Mapping[Partition, ExcludedRows] | None = None,
    privacy_version: str = "",
) -> dict[Partition, StagedFiles]:
    """Write the files of the portion's partitions, read them back, and compare with what the server counted.

    Args:
        sorted_rows: The rows.
        partitions: Of the portion, first to last.
        fingerprints: What the server counted of each.
        workspace: Folder for files on their way.
        rates: Fractions of ok runs that were logged.
        gather: Told of each table, partition, its rows and its number of runs, as they are written; by two threads.
        excluded: What the server counted and may not be in the lake.
        privacy_version: What was done to the rows on their way in, for the ledger.

    Raises:
        VerificationError: A count or hash differs; nothing has been replaced.
    """
    steps = [rates.of_day(partition.realm, partition.day) for partition in partitions]
    footers = [
        _footer(partition, fingerprints[partition], some, privacy_version)
        for partition, some in zip(partitions, steps, strict=True)
    ]
    row_weights = weights(sorted_rows, partitions, rates)
    with ThreadPoolExecutor(1) as other:
        rollups = other.submit(_node_days, sorted_rows, partitions, footers, workspace, row_weights, gather)
        executions = _executions(sorted_rows, partitions, footers, workspace, row_weights, gather)
        node_days = rollups.result()
    staged: dict[Partition, StagedFiles] = {}
    for place, partition in enumerate(partitions):
        rows = slice(sorted_rows.bounds[place], sorted_rows.bounds[place + 1])
        left = (excluded or {}).get(partition, ExcludedRows())
        path, rollup = executions.get(place), node_days.get(place)
        verified = _verify(sorted_rows, rows, path, partition, fingerprints[partition], left)
        codes = sorted_rows.rows.codes[rows]
        staged[partition] = StagedFiles(
            path or workspace / "none",
            rollup,
            PartitionInfo(
                partition=partition,
                fingerprint=fingerprints[partition],
                row_count=verified.row_count,
                kept_count=verified.retained_count,
                id_hash=verified.id_hash,
                trace_entries=int(codes[:, copy_tuples.ENTRIES].sum(dtype=np.int64)),
                irregular_count=_irregular(sorted_rows, codes),
                status_counts=_status_counts(sorted_rows, codes),
                sample_rates=steps[place],
                file_bytes=path.stat().st_size if path else 0,
                node_days_bytes=rollup.stat().st_size if rollup else 0,
                extracted_at=datetime.now(UTC).replace(microsecond=0),
                erased_count=left.row_count,
                privacy_version=privacy_version,
            ),
            frozenset(_texts(sorted_rows, codes[:, copy_tuples.STRATEGY])),
        )
    return staged


class _Verified(NamedTuple):
    """What a partition's file was found to hold: rows, those of them that the source has no more, and the hash of all ids."""

    row_count: int
    retained_count: int
    id_hash: int


def _verify(
    sorted_rows: SortedRows,
    rows: slice,
    path: Path | None,
    partition: Partition,
    fingerprint: Fingerprint,
    left: ExcludedRows,
) -> _Verified:
    """Read a partition's file back and compare it with what the server counted.

    Args:
        sorted_rows: All rows.
        rows: Which are the partition's.
        path: Its file; ``None`` where no row is left of it.
        partition: For the error.
        fingerprint: What the server counted.
        left: What of it may not be in the lake.

    Raises:
        VerificationError: They differ.
    """
    ids = sorted_rows.rows.ids[rows]
    _refuse_ids_twice(ids)
    retained = sorted_rows.flagged(copy_tuples.RETAINED, rows.start, rows.stop)
    retained_count, retained_hash = int(retained.sum()), _id_hash(ids[retained])
    count, id_hash = _read_back(path) if path else (0, 0)
    if (count - retained_count + left.row_count, id_hash - retained_hash + left.id_hash) != (
        fingerprint.row_count,
        fingerprint.id_hash,
    ):
        raise VerificationError(
            f"{partition}: the server counted {fingerprint.row_count} rows (id hash {fingerprint.id_hash}), the file on its "
            f"way holds {count - retained_count} (id hash {id_hash - retained_hash})"
            f"{f' and {left.row_count} were left out' * bool(left.row_count)}; nothing was replaced",
            hint="run again; if it stays, report it with this message",
            partition=partition,
            expected=fingerprint.row_count,
            found=count - retained_count + left.row_count,
        )
    return _Verified(count, retained_count, id_hash)


def _executions(
    sorted_rows: SortedRows,
    partitions: Sequence[Partition],
    footers: Sequence[Mapping[str, str]],
    workspace: Path,
    row_weights: Floats,
    gather: Gather | None,
) -> dict[int, Path]:
    """One file per partition that has rows, by its place in the portion."""
    columns = Columns(sorted_rows, row_weights)
    paths: dict[int, Path] = {}
    shared: tuple[int, int, pa.Table] | None = None  # plain rows of several small partitions
    came_in = np.concatenate([[0], np.cumsum(sorted_rows.rows.codes[:, copy_tuples.SIZE], dtype=np.int64)])
    for place, footer in enumerate(footers):
        start, end = int(sorted_rows.bounds[place]), int(sorted_rows.bounds[place + 1])
        if start == end:
            continue
        paths[place] = workspace / f"executions-{sorted_rows.first + place}.tmp"
        if end - start < min(SMALL_ROWS, ROW_GROUP_ROWS) and came_in[end] - came_in[start] <= ROW_GROUP_BYTES:
            if shared is None or end > shared[1]:
                until = _small_until(sorted_rows.bounds, came_in, place)
                shared = (start, until, columns.table(start, until, coded=False))
                sorted_rows.forget_pages()
            table = shared[2].slice(start - shared[0], end - start)
            with contextlib.closing(parquet_writer.create(paths[place], table.schema, footer, small=True)) as writer:
                writer.write_table(table)
            if gather:
                gather("executions", partitions[place], table, end - start)
            continue
        writer = plain_values = None
        for first, last in _row_groups(sorted_rows, came_in, start, end):
            table = columns.table(first, last, coded=True, plain_values=plain_values)
            if writer is None:
                plain_values = has_plain_values(table)  # of a file as of its first row group
                writer = parquet_writer.create(
                    paths[place], table.schema, footer, small=False, repeats_values=not plain_values
                )
            writer.write_table(table, row_group_size=last - first)
            sorted_rows.forget_pages()
        writer.close()
    return paths


def _small_until(bounds: Ints, came_in: Ints, place: int) -> int:
    """Where the rows end of the small partitions that can be made into one table, from ``place`` on."""
    start = until = int(bounds[place])
    for end in bounds[place + 1 :].tolist():
        is_much = end - start > ROW_GROUP_ROWS or came_in[end] - came_in[start] > ROW_GROUP_BYTES
        if end - until >= SMALL_ROWS or (is_much and until > start):
            break
        until = end
    return until


def _row_groups(sorted_rows: SortedRows, came_in: Ints, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut the rows of a partition: few enough rows, and few enough entries and bytes unless a single row has more."""
    entries = np.concatenate([[0], np.cumsum(sorted_rows.rows.codes[start:end, copy_tuples.ENTRIES], dtype=np.int64)])
    sizes = came_in[start : end + 1]
    first = 0
    while first < end - start:
        last = min(
            end - start,
            first + ROW_GROUP_ROWS,
            int(np.searchsorted(entries, entries[first] + ROW_GROUP_ENTRIES, side="right")) - 1,
            int(np.searchsorted(sizes, sizes[first] + ROW_GROUP_BYTES, side="right")) - 1,
        )
        last = max(last, first + 1)
        yield start + first, start + last
        first = last


def _node_days(
    sorted_rows: SortedRows,
    partitions: Sequence[Partition],
    footers: Sequence[Mapping[str, str]],
    workspace: Path,
    row_weights: Floats,
    gather: Gather | None,
) -> dict[int, Path]:
    """One rollup per partition that has trace entries."""
    rollup = Rollup(sorted_rows, row_weights)
    paths: dict[int, Path] = {}
    for place, (partition, footer) in enumerate(zip(partitions, footers, strict=True)):
        count = int(rollup.bounds[place + 1] - rollup.bounds[place])
        if count:
            table = rollup.table(place, partition.realm)
            paths[place] = workspace / f"node_days-{sorted_rows.first + place}.tmp"
            writer = parquet_writer.create(paths[place], table.schema, footer, small=count < SMALL_ROWS)
            with contextlib.closing(writer):
                writer.write_table(table)
            if gather:
                gather("node_days", partition, table, int(sorted_rows.bounds[place + 1] - sorted_rows.bounds[place]))
    return paths


def _texts(sorted_rows: SortedRows, codes: Codes) -> list[str]:
    """The different texts of a column."""
    return [sorted_rows.merged.texts[code] for code in np.unique(codes).tolist() if code >= 0]


def _irregular(sorted_rows: SortedRows, codes: Codes) -> int:
    """Rows whose trace is kept verbatim; the JSON null of a failed run is nothing unusual."""
    texts = codes[:, copy_tuples.IRREGULAR]
    kept = texts[texts >= 0]
    nulls = [code for code in np.unique(kept).tolist() if sorted_rows.merged.texts[code] == "null"]
    return int(np.count_nonzero(~np.isin(kept, nulls)))


def _status_counts(sorted_rows: SortedRows, codes: Codes) -> dict[str, int]:
    found = zip(*np.unique(codes[:, STATUS], return_counts=True), strict=True)
    return dict(sorted((sorted_rows.merged.texts[int(code)], int(count)) for code, count in found if code >= 0))


def _refuse_ids_twice(halves: Ints) -> None:
    """A unique key may be broken, and the sum over ids does not tell two of one from one of two."""
    upper = np.sort(halves[:, 0])
    if not np.any(upper[1:] == upper[:-1]):  # random, so that is nearly always all there is to do
        return
    found, counts = np.unique(np.ascontiguousarray(halves), axis=0, return_counts=True)
    if len(twice := found[counts > 1]):
        some = [str(uuid.UUID(int=(int(high) << 64) | int(low))) for high, low in twice[:3].view(np.uint64)]
        raise ids_twice(len(twice), some)


def _id_hash(halves: Ints) -> int:
    return sum(int(high) >> 4 for high in halves[:, 0].view(np.uint64))


def _read_back(path: Path) -> tuple[int, int]:
    """Rows and id hash of a file as it lies on disk."""
    import pyarrow.parquet as pq

    count = hashed = 0
    file = pq.ParquetFile(path, pre_buffer=False)
    for chunk in file.read(columns=["execution_id"], use_threads=False)["execution_id"].chunks:
        ends = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        upper, lower, well_formed = copy_tuples.hash_of_texts(np.frombuffer(chunk.buffers()[2], np.uint8), ends)
        if not well_formed:
            raise VerificationError(f"{path.name} holds an execution id that is no uuid; nothing was replaced")
        count += len(chunk)
        hashed += (int(upper) << 30) + int(lower)
    return count, hashed


def _footer(
    partition: Partition, fingerprint: Fingerprint, steps: Sequence[RateStep], privacy_version: str
) -> dict[str, str]:
    return {
        "strategy_analytics.day": partition.day.isoformat() if partition.day else "",
        "strategy_analytics.source_row_count": str(fingerprint.row_count),
        "strategy_analytics.source_id_hash": str(fingerprint.id_hash),
        "strategy_analytics.source_change_hash": str(fingerprint.change_hash),
        "strategy_analytics.sample_rate": described(steps),
        "strategy_analytics.treatment": privacy_version,  # so that a lake that lost its ledger still knows its key
    }
