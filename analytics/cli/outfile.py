"""A file that an answer is written into: never one that somebody else wrote, unless that is said."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from analytics.errors import UsageError
from analytics.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

MARK = b"strategy-analytics"
"""Key in a Parquet file's own metadata."""
_HEAD = 1 << 20


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """``--overwrite``."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the file also where it does not hold an earlier answer of this command",
    )


def write_parquet(table: pa.Table, target: Path | IO[bytes]) -> None:
    """A table as a Parquet file that says who wrote it."""
    import pyarrow.parquet as pq

    marked = table.replace_schema_metadata({**(table.schema.metadata or {}), MARK: __version__.encode()})
    pq.write_table(marked, str(target) if isinstance(target, Path) else target)


def ensure_ours(path: Path, columns: Sequence[str], *, overwrite: bool) -> None:
    """Refuse to replace a file that is not an earlier answer.

    One is known by what a Parquet file says of itself, by the header of a CSV file, and by the keys of a JSON file's first object.
    An empty file holds nothing to lose; a pipe or device is not replaced.

    Args:
        path: What would be written.
        columns: Of the answer.
        overwrite: Whoever asks has said so.

    Raises:
        UsageError: It holds something else.
    """
    if overwrite or not path.is_file() or path.stat().st_size == 0 or _is_ours(path, columns):
        return
    raise UsageError(
        f"{path} is there already, and is no earlier answer with these columns: it was left alone",
        hint="name another file, or say --overwrite",
    )


def _is_ours(path: Path, columns: Sequence[str]) -> bool:
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return MARK in (pq.read_metadata(path).metadata or {})
        except (pa.ArrowException, OSError, ValueError):
            return False
    with path.open("rb") as file:
        head = file.read(_HEAD).decode("utf-8", "replace")
    if path.suffix == ".json":
        first, end, _ = head.partition("\n")
        try:
            found = json.loads(first)
        except (ValueError, RecursionError):
            return False
        return bool(end) and isinstance(found, dict) and list(found) == list(columns)
    if "<html" in head[:200]:
        return 'class="sa-page"' in head[:200]
    return next(csv.reader(head.splitlines()), None) == list(columns)
