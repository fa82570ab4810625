"""From staged rows to finished, verified partition files: one pass over the rows in file order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import schema, sql
from analytics.errors import VerificationError
from analytics.model import Fingerprint, Partition, PartitionInfo
from analytics.staging import PartitionFacts, Stage

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROW_GROUP_ROWS = 20_000
"""One row group is one thread's work, and a group holds about half a million trace entries."""


@dataclass(frozen=True, slots=True)
class StagedFiles:
    """A partition's finished files, not yet in their place."""

    executions: Path
    node_days: Path | None
    info: PartitionInfo


def write(
    stage: Stage, fingerprints: Mapping[Partition, Fingerprint], workspace: Path, sample_rate: float
) -> dict[Partition, StagedFiles]:
    """Write one file per partition of the stage, read it back, and compare with what the server counted.

    Raises:
        VerificationError: A count or hash differs; nothing has been replaced.
    """
    footers = [_footer(partition, fingerprints[partition], sample_rate) for partition in stage.partitions]
    executions = _split(stage.executions(), "executions", schema.execution_schema(), workspace, footers)
    node_days = _split(stage.node_days(), "node_days", schema.node_day_schema(), workspace, footers)
    on_disk = _read_back(stage.connection, list(executions.values()))
    staged: dict[Partition, StagedFiles] = {}
    for number, partition in enumerate(stage.partitions):
        facts = stage.facts.get(number, PartitionFacts())
        fingerprint = fingerprints[partition]
        path = executions.get(number, workspace / "none")
        count, id_hash = on_disk.get(str(path), (0, 0))
        if (count, id_hash) != (fingerprint.row_count + facts.kept_count, fingerprint.id_hash + facts.kept_hash):
            raise VerificationError(
                f"{partition}: the server counted {fingerprint.row_count} rows (id hash {fingerprint.id_hash}), the file on its "
                f"way holds {count - facts.kept_count} (id hash {id_hash - facts.kept_hash}); nothing was replaced",
                hint="run again; if it stays, report it with this message",
                partition=partition,
                expected=fingerprint.row_count,
                found=count - facts.kept_count,
            )
        staged[partition] = StagedFiles(
            path,
            node_days.get(number),
            PartitionInfo(
                partition=partition,
                fingerprint=fingerprint,
                row_count=count,
                kept_count=facts.kept_count,
                id_hash=id_hash,
                trace_entries=facts.trace_entries,
                irregular_count=facts.irregular_count,
                status_counts=dict(sorted(facts.status_counts.items())),
                sample_rate=sample_rate,
                file_bytes=path.stat().st_size if count else 0,
                node_days_bytes=node_days[number].stat().st_size if number in node_days else 0,
                extracted_at=datetime.now(UTC).replace(microsecond=0),
            ),
        )
    return staged


def _split(
    batches: Iterator[pa.RecordBatch],
    name: str,
    table_schema: pa.Schema,
    workspace: Path,
    footers: list[dict[str, str]],
) -> dict[int, Path]:
    """Write batches in file order, the partition's number first, into one Parquet file per partition."""
    paths: dict[int, Path] = {}
    with contextlib.closing(_Writer(table_schema)) as writer:
        for batch in batches:
            for number, rows in _runs(batch):
                if number not in paths:
                    # No name on its way ends in .parquet: a glob over the lake must not see it.
                    paths[number] = workspace / f"{name}-{number}.tmp"
                    writer.start(paths[number], footers[number])
                writer.add(rows)
    return paths


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Cut a batch where the partition number (its first column) changes."""
    import numpy as np

    numbers = batch.column(0).to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    body = batch.remove_column(0)
    for start, end in pairwise(edges):
        if end > start:
            yield int(numbers[start]), body.slice(start, end - start)


class _Writer:
    """One Parquet file at a time, in row groups of an even size."""

    def __init__(self, table_schema: pa.Schema) -> None:
        self._schema = table_schema
        self._file: Any = None
        self._waiting: list[pa.RecordBatch] = []

    def start(self, path: Path, footer: dict[str, str]) -> None:
        import pyarrow.parquet as pq

        self.close()
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd", compression_level=3)
        self._file.add_key_value_metadata(footer)

    def add(self, rows: pa.RecordBatch) -> None:
        self._waiting.append(rows)
        if sum(batch.num_rows for batch in self._waiting) >= ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._file is not None:
            self._flush()
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._file.write_table(
                pa.Table.from_batches(self._waiting).cast(self._schema), row_group_size=ROW_GROUP_ROWS
            )
            self._waiting = []


def _read_back(connection: duckdb.DuckDBPyConnection, paths: list[Path]) -> dict[str, tuple[int, int]]:
    """Rows and id hash of files as they lie on disk."""
    if not paths:
        return {}
    rows = connection.execute(sql.text("flatten", "read_back"), {"paths": [str(path) for path in paths]}).fetchall()
    return {name: (count, int(id_hash)) for name, count, id_hash in rows}


def _footer(partition: Partition, fingerprint: Fingerprint, sample_rate: float) -> dict[str, str]:
    return {
        "strategy_analytics.day": partition.day.isoformat() if partition.day else "",
        "strategy_analytics.source_row_count": str(fingerprint.row_count),
        "strategy_analytics.source_id_hash": str(fingerprint.id_hash),
        "strategy_analytics.source_change_hash": str(fingerprint.change_hash),
        "strategy_analytics.sample_rate": repr(sample_rate),
    }
