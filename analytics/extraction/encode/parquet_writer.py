"""Parquet settings of the lake, and one file at a time.

A row group is one thread's work. Texts come as dictionaries, which Parquet stores as they are. Statistics are kept where a
reader can skip by them, not of trace entries: no row group is without its ``true`` and its ``12.5``. A file of a few rows is
mostly its own description, so it is written plainly; half of the time and a third of the size of a small file was dictionaries
and statistics.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.lake import small_partitions

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from analytics.estimates.arrays import Array

_FILE_BYTES = 256 << 20
"""A mapping keeps a file open, so many arrays share one; larger ones have their own."""


class MemoryMap:
    """Files that hold arrays; one for all threads of a run's share.

    The files have no name: nothing is left behind by a run that is killed, and their space is free when the last array of one
    is forgotten.

    Args:
        folder: Where they are made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None
        self._mappings: list[mmap.mmap] = []
        self._used = self._room = 0
        self._turn = threading.Lock()

    def keep(self, arrays: Sequence[Array]) -> list[Array]:
        """Move arrays to disk.

        Returns:
            The same arrays, read only; the kernel reads back what is used.

        Raises:
            OSError: No room, or no right to write.
        """
        import numpy as np  # who opens a lake only wants this module's sizes

        with self._turn:
            return [self._keep(np.ascontiguousarray(array)) for array in arrays]

    def forget_pages(self) -> None:
        """Let go of what was read back: it stays in the kernel's cache, and is no longer this process's memory."""
        with self._turn:
            for mapping in self._mappings:
                mapping.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """No more arrays; those that were given stay."""
        with self._turn:
            self._mappings = []
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _keep(self, array: Array) -> Array:
        if array.size == 0:
            return array
        start = -(-self._used // 8) * 8
        file = self._file
        if file is None or start + array.nbytes > self._room:
            file, start = self._next(array.nbytes), 0
        data, place = array.data.cast("B"), start
        while data:  # a disk that fills up writes less than it was given, and refuses only then
            written = os.pwrite(file, data, place)
            data, place = data[written:], place + written
        self._used = place
        import numpy as np

        return np.frombuffer(self._mappings[-1], array.dtype, array.size, start).reshape(array.shape)

    def _next(self, least: int) -> int:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        path = self._folder / "waiting.tmp"
        self._room = max(_FILE_BYTES, least)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        path.unlink()
        os.truncate(self._file, self._room)  # takes no space before it is written
        self._mappings.append(mmap.mmap(self._file, self._room, prot=mmap.PROT_READ))
        return self._file


ROW_GROUP_ROWS = 20_000
"""About half a million trace entries."""

ROW_GROUP_ENTRIES = 1_000_000

ROW_GROUP_BYTES = 64 << 20
"""As the rows came from the server; rows of ordinary size have a million entries first."""

SMALL_ROWS = small_partitions.SMALL_ROWS

_BUFFER_BYTES = 256 << 10

_SKIPPED_BY = ["execution_id", "created_at", "realm_id", "strategy_id", "strategy_version", "status", "type", "node_id"]
_VALUES = ["trace.list.element.value", "trace.list.element.value_number"]
_REPEATED_NUMBERS = ["trace.list.element.value_number", "strategy_version", "sample_weight", "nodes_executed"]


def create(
    path: Path, schema: pa.Schema, footer: Mapping[str, str], *, small: bool, repeats_values: bool = True
) -> pq.ParquetWriter:
    """A writer for one file.

    Args:
        path: Where; its name must not end in ``.parquet`` while it is unfinished: a glob over the lake would see it.
        schema: Of the tables to come.
        footer: Key-value metadata.
        small: A file of a few rows.
        repeats_values: A dictionary of the values of traces pays: Parquet makes one, looks each value up, and forgets it again when
            it grows too large.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Parquet hands over a few dozen bytes at a time: a call of the system for each takes longer than making a small file.
    sink = pa.BufferedOutputStream(pa.OSFile(str(path), "wb"), _BUFFER_BYTES)
    if small:
        writer = pq.ParquetWriter(
            sink, schema, compression="lz4", use_dictionary=False, write_statistics=False, store_schema=False
        )
    else:
        texts = [name for name, kind in _leaves(schema) if not pa.types.is_floating(kind)]
        plain = {"execution_id"} if repeats_values else {"execution_id", *_VALUES}
        writer = pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in [*texts, *_REPEATED_NUMBERS] if name not in plain],
            write_statistics=[name for name in _SKIPPED_BY if name in schema.names],
            store_schema=False,
        )
    writer.file_handle = sink  # closed with it, as one of its own would be
    writer.add_key_value_metadata(dict(footer))
    return writer


def _leaves(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    """Parquet's name and the type of every column that holds values."""
    import pyarrow as pa

    found = []
    for field in schema:
        if pa.types.is_list(field.type):
            entry = field.type.value_type
            found += [(f"{field.name}.list.element.{part.name}", part.type) for part in entry]
        elif not pa.types.is_timestamp(field.type):
            found.append((field.name, field.type))
    return found
