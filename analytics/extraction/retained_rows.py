"""Rows that only the lake still holds: found by their ids, and sent the way of the server's rows."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.errors import DamagedFileError
from analytics.extraction.encode.copy_decoder import padded
from analytics.extraction.encode.native import copy_tuples
from analytics.extraction.encode.trace_json import rebuild
from analytics.lake import schema
from analytics.storage import LakePath, readable

if TYPE_CHECKING:
    import pyarrow as pa

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_BLOCK_BYTES = 4 << 20
_ROWS, _BYTES = 500, 16 << 20  # at a time: Python's objects take many times the size of a trace


def missing(path: LakePath, loaded: pa.StringArray) -> list[str]:
    """Execution ids of a partition's present file that are not among ``loaded``; none where there is no readable file."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        present = pq.ParquetFile(readable(path)).read(columns=["execution_id"])["execution_id"]
        gone = present.filter(pc.invert(pc.is_in(present, value_set=loaded)))
    except (OSError, KeyError, pa.ArrowException):
        return []  # a damaged or foreign file: the source's rows replace it
    return [str(execution_id) for execution_id in gone.to_pylist()]


def blocks(path: LakePath, ids: Sequence[str] | None = None, *, without: Sequence[str] = ()) -> Iterator[Any]:
    """Rows of a file as blocks of a binary COPY: all, or those with these ids; and without those with the other ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = None if ids is None else pa.array(list(ids), pa.string())
    unwanted = pa.array(list(without), pa.string())
    data = bytearray()
    for batch in _batches(path):
        chosen = batch if wanted is None else batch.filter(pc.is_in(batch["execution_id"], value_set=wanted))
        if without:
            chosen = chosen.filter(pc.invert(pc.is_in(chosen["execution_id"], value_set=unwanted)))
        for row in chosen.to_pylist():
            data += _tuple(row)
            if len(data) >= _BLOCK_BYTES:
                yield padded(data)
                data.clear()
    if data:
        yield padded(data)


def _batches(path: LakePath) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(readable(path))
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            rows = max(1, min(_ROWS, _BYTES * group.num_rows // max(1, group.total_byte_size)))
            yield from file.iter_batches(rows, row_groups=[number])
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError(
            f"{path} is damaged: {' '.join(str(error).split())}",
            hint="restore it from a backup; or move it away and extract its day again: what only the lake still held is lost then",
            paths=[str(path)],
        ) from error


def _tuple(row: dict[str, Any]) -> bytes:
    """One row as ``native.tuples`` reads it."""
    trace = rebuild(row["trace"], row["trace_irregular"])
    fields = [
        uuid.UUID(row["execution_id"]).bytes,
        _time(row["created_at"]),
        _time(row["updated_at"]),
        _packed(">d", row["points"]),
        _packed(">d", row["duration_ms"]),
        _packed(">i", row["strategy_version"]),
        _packed(">i", row["nodes_executed"]),
        _packed(">?", row["sampled"]),
        *(None if row[name] is None else row[name].encode() for name in schema.TEXT_COLUMNS),
        None if trace is None else b"\x01" + trace.encode(),
    ]
    parts = [struct.pack(">h", copy_tuples.FIELDS)]
    for field in fields:
        parts.append(struct.pack(">i", -1 if field is None else len(field)))
        parts.append(field or b"")
    return b"".join(parts)


def _packed(layout: str, value: Any) -> bytes | None:
    return None if value is None else struct.pack(layout, value)


def _time(value: datetime | None) -> bytes | None:
    if value is None:
        return None
    since = value - _POSTGRES_EPOCH
    return struct.pack(">q", (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
