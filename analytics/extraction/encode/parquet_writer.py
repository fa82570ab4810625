"""Parquet settings of the lake, and one file at a time.

A row group is one thread's work. Texts come as dictionaries, which Parquet stores as they are. Statistics are kept where a
reader can skip by them, not of trace entries: no row group is without its ``true`` and its ``12.5``. A file of a few rows is
mostly its own description, so it is written plainly; half of the time and a third of the size of a small file was dictionaries
and statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_ROWS = 20_000
"""About half a million trace entries."""

ROW_GROUP_ENTRIES = 1_000_000

ROW_GROUP_BYTES = 64 << 20
"""As the rows came from the server; rows of ordinary size have a million entries first."""

SMALL_ROWS = 500

_SKIPPED_BY = ["execution_id", "created_at", "realm_id", "strategy_id", "strategy_version", "status", "type", "node_id"]
_REPEATED_NUMBERS = ["trace.list.element.value_number", "strategy_version", "sample_weight", "nodes_executed"]


def create(path: Path, schema: pa.Schema, footer: Mapping[str, str], *, small: bool) -> Any:
    """A writer for one file.

    Args:
        path: Where; its name must not end in ``.parquet`` while it is unfinished: a glob over the lake would see it.
        schema: Of the tables to come.
        footer: Key-value metadata.
        small: A file of a few rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if small:
        writer = pq.ParquetWriter(
            path, schema, compression="lz4", use_dictionary=False, write_statistics=False, store_schema=False
        )
    else:
        texts = [name for name, kind in _leaves(schema) if not pa.types.is_floating(kind)]
        writer = pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=[name for name in texts if name != "execution_id"] + _REPEATED_NUMBERS,
            write_statistics=[name for name in _SKIPPED_BY if name in schema.names],
            store_schema=False,
        )
    writer.add_key_value_metadata(dict(footer))
    return writer


def _leaves(schema: pa.Schema) -> list[tuple[str, Any]]:
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
