"""From a stream of rows to rows in file order, with bounded memory.

Rows arrive in no order. They are taken in runs of bounded size; each run is flattened and sorted in memory. One run is the
common case and goes straight on. More runs wait on disk, each sorted, and are merged slice by slice: a slice is a range of
partitions, or of one large partition's strategies, that fits into memory again. A general external sort was tried first:
DuckDB's ran out of memory on wide nested rows instead of spilling (see DECISIONS.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics import flatten, sql
from analytics.model import Partition

if TYPE_CHECKING:
    import pyarrow as pa

RUN_BYTES = 24 << 20
"""Bytes of COPY text in a run; its lists take about three times as much, and a sort as much again."""

_MEMORY = "320MB"  # DuckDB's own limit; Arrow's tables come on top, together under 1 GB
_RUN_ROW_GROUP = 4_000  # small, so that a slice reads little of each run


@dataclass(slots=True)
class PartitionFacts:
    """What the runs hold of one partition.

    Attributes:
        row_count, id_hash: Of the rows read from the source.
        kept_count, kept_hash: Of rows the source has deleted and the lake keeps.
        trace_entries, irregular_count: Over both.
        status_counts: Rows per status, over both.
    """

    row_count: int = 0
    id_hash: int = 0
    kept_count: int = 0
    kept_hash: int = 0
    trace_entries: int = 0
    irregular_count: int = 0
    status_counts: dict[str, int] = field(default_factory=dict)


Unit = tuple[int, str, int]
"""Partition number, strategy, version."""


class Stage:
    """The rows of some partitions on their way from the server to files.

    Args:
        workspace: Folder for runs that do not fit into memory.
        partitions: Rows of others are dropped. The position in this sequence is the partition's ``number``.
        sample_rate: Fraction of ok runs that was logged.
        run_bytes: Size of a run in memory.
    """

    def __init__(
        self, workspace: Path, partitions: Sequence[Partition], sample_rate: float, *, run_bytes: int = RUN_BYTES
    ) -> None:
        import duckdb
        import pyarrow as pa

        self.partitions = tuple(partitions)
        self.facts: dict[int, PartitionFacts] = {}
        self.moved_count = 0
        self.connection = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(workspace / "spill")})
        self.connection.execute("set TimeZone = 'UTC'")
        planned = pa.table(
            {
                "number": pa.array(range(len(partitions)), pa.int32()),
                "realm_id": pa.array([p.realm for p in partitions], pa.string()),
                "day": pa.array([p.day for p in partitions], pa.date32()),
            }
        )
        self.connection.register("planned", planned)
        self.connection.execute("create table loaded (number integer, execution_id varchar)")
        self._workspace, self._rate, self._run_bytes = workspace, sample_rate, run_bytes
        self._in_memory: pa.Table | None = None
        self._on_disk: list[Path] = []
        self._has_rollup = False
        # Bytes per partition, strategy and version: the grain at which a merge can be cut.
        self._units: dict[tuple[int, str, int], int] = {}

    def close(self) -> None:
        """Release memory and files."""
        self.connection.close()
        for path in self._on_disk:
            path.unlink(missing_ok=True)

    # ---- in --------------------------------------------------------------------------------------------------------

    def load(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Take in COPY rows (``schema.copy_schema()``)."""
        import pyarrow as pa

        waiting: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            waiting.append(batch)
            size += batch.nbytes
            if size >= self._run_bytes:
                self._flatten(pa.Table.from_batches(waiting))
                waiting, size = [], 0
        if waiting:
            self._flatten(pa.Table.from_batches(waiting))

    def keep_vanished(
        self, files: Sequence[Path], existing: Callable[[Sequence[str]], set[str]], *, drop: bool
    ) -> dict[int, int]:
        """Carry over rows of the present files that the source no longer has. Call after ``load``.

        Args:
            files: The present file of each partition; need not exist.
            existing: Which of some ids the source still holds, wherever: those moved to another partition.
            drop: Only count them.

        Returns:
            Vanished rows by partition number, where there are any.
        """
        import duckdb

        vanished: dict[int, int] = {}
        for number, path in enumerate(files):
            if not path.is_file():
                continue
            try:
                rows = self.connection.execute(
                    sql.text("flatten", "vanished"), {"path": str(path), "number": number}
                ).fetchall()
            except duckdb.Error:
                continue  # a damaged or foreign file: the source's rows replace it
            ids = [row[0] for row in rows]
            gone = sorted(set(ids) - existing(ids)) if ids else []
            self.moved_count += len(ids) - len(gone)
            if not gone:
                continue
            vanished[number] = len(gone)
            if not drop:
                parameters = {"path": str(path), "number": number, "ids": gone}
                self._add(self.connection.sql(sql.text("flatten", "kept_run"), params=parameters).to_arrow_table())
        return vanished

    def _flatten(self, copied: pa.Table) -> None:
        flat, mended = flatten.flatten(self.connection, copied, self._rate)
        self.connection.register("flat", flat)
        self.connection.register("mended", mended)
        run = self.connection.sql(sql.text("flatten", "run")).to_arrow_table()
        self.connection.unregister("flat")
        self.connection.unregister("mended")
        self._add(run)

    def _add(self, run: pa.Table) -> None:
        if run.num_rows == 0:
            return
        self.connection.register("run", run)
        self.connection.execute("insert into loaded select number, execution_id from run")
        self._summarise(self.connection.execute(sql.text("flatten", "summary")).fetchall())
        into = "insert into partial_node_days" if self._has_rollup else "create table partial_node_days as"
        self.connection.execute(f"{into} {sql.text('flatten', 'node_days')}")
        self._has_rollup = True
        self.connection.unregister("run")
        if self._in_memory is None and not self._on_disk:
            self._in_memory = run
            return
        if self._in_memory is not None:
            self._spill(self._in_memory)
            self._in_memory = None
        self._spill(run)

    def _spill(self, run: pa.Table) -> None:
        import pyarrow.parquet as pq

        path = self._workspace / f"run-{len(self._on_disk)}.tmp"
        pq.write_table(run, path, compression="zstd", compression_level=1, row_group_size=_RUN_ROW_GROUP)
        self._on_disk.append(path)

    def _summarise(self, rows: list[tuple[Any, ...]]) -> None:
        for number, strategy, version, status, is_kept, count, size, entries, irregular, id_hash in rows:
            facts = self.facts.setdefault(number, PartitionFacts())
            if is_kept:
                facts.kept_count += count
                facts.kept_hash += int(id_hash)
            else:
                facts.row_count += count
                facts.id_hash += int(id_hash)
            facts.trace_entries += entries
            facts.irregular_count += irregular
            facts.status_counts[status] = facts.status_counts.get(status, 0) + count
            unit = (number, strategy, version)
            # about 300 bytes of other columns
            self._units[unit] = self._units.get(unit, 0) + size + 300 * count

    # ---- out -------------------------------------------------------------------------------------------------------

    def executions(self) -> Iterator[pa.RecordBatch]:
        """The rows in file order: the partition's number, then ``schema.execution_schema()``."""
        if self._in_memory is not None:
            yield from self._in_memory.drop_columns(["is_kept", "trace_bytes"]).to_batches()
            return
        paths = [str(path) for path in self._on_disk]
        for first, last, size in _slices(sorted(self._units.items()), self._run_bytes):
            whole = {"first": first[0], "last": last[0]}
            ends = {
                "strategy_first": first[1],
                "version_first": first[2],
                "strategy_last": last[1],
                "version_last": last[2],
            }
            if first[0] != last[0]:  # whole partitions only
                ends = dict.fromkeys(ends)
            # One strategy of one realm and day larger than a run: sorted within each run, and read run by run.
            for part in [[path] for path in paths] if size > 2 * self._run_bytes else [paths]:
                yield from self._merge({**whole, **ends, "paths": part})

    def node_days(self) -> Iterator[pa.RecordBatch]:
        """The rollup in file order: the partition's number, then ``schema.node_day_schema()``."""
        if self._has_rollup:
            yield from self.connection.sql(sql.text("flatten", "node_days_merge")).to_arrow_reader(20_000)

    def _merge(self, parameters: dict[str, Any]) -> Iterator[pa.RecordBatch]:
        yield from self.connection.sql(sql.text("flatten", "merge"), params=parameters).to_arrow_table().to_batches()


def _slices(units: Sequence[tuple[Unit, int]], most: int) -> Iterator[tuple[Unit, Unit, int]]:
    """Cut sorted units into consecutive slices of at most ``most`` bytes: whole partitions, or parts of a single one."""
    by_number: dict[int, list[tuple[Unit, int]]] = {}
    for unit, size in units:
        by_number.setdefault(unit[0], []).append((unit, size))
    pending: list[tuple[Unit, int]] = []
    for members in by_number.values():
        total = sum(size for _, size in members)
        if pending and sum(size for _, size in pending) + total > most:
            yield _slice(pending)
            pending = []
        if total <= most:
            pending += members
            continue
        part: list[tuple[Unit, int]] = []
        for member in members:
            if part and sum(size for _, size in part) + member[1] > most:
                yield _slice(part)
                part = []
            part.append(member)
        yield _slice(part)
    if pending:
        yield _slice(pending)


def _slice(members: Sequence[tuple[Unit, int]]) -> tuple[Unit, Unit, int]:
    return members[0][0], members[-1][0], sum(size for _, size in members)
