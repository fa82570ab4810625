"""Small tables of the lake that have one file per tenant: what lies there, and replacing it where it has changed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.errors import LakeFormatError
from analytics.lake import Lake
from analytics.object_store import LakePath, readable

if TYPE_CHECKING:
    import pyarrow as pa


def present(path: LakePath, table_schema: pa.Schema) -> pa.Table:
    """A file as it lies in the lake; a damaged or foreign one counts as empty, and is replaced.

    Raises:
        LakeFormatError: It holds everything that is known, and more: a newer version has written it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.suppress(pa.ArrowInvalid, OSError):
        found = pq.ParquetFile(readable(path)).read()
        if found.schema.equals(table_schema):
            return found
        if set(found.schema.names) > set(table_schema.names):
            raise LakeFormatError(
                f"{path} has columns that this version of strategy-analytics does not know: a newer version has written this "
                "lake; nothing was changed",
                hint="upgrade this installation to the version that writes the lake: pip install --upgrade strategy-analytics",
            )
    return table_schema.empty_table()


def replace_if_changed(
    lake: Lake, table: str, realm: str | None, rows: list[dict[str, Any]], table_schema: pa.Schema, workspace: Path
) -> bool:
    """Put a tenant's rows in their place.

    Returns:
        Whether they are others than before.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = lake.realm_path(table, realm)
    fresh = pa.Table.from_pylist(rows, schema=table_schema)
    if target.is_file() and present(target, table_schema).equals(fresh):
        return False
    staged = workspace / f"{table}.tmp"
    pq.write_table(fresh, staged, compression="zstd")
    lake.replace(staged, target)
    return True
