"""The writing part of one extraction: read the partitions that differ, chunk by chunk, and replace them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import queue
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from analytics.errors import DamagedFileError, LakeError
from analytics.extraction.encode import partition_files
from analytics.extraction.encode.coded_rows import SortedRows, padded
from analytics.extraction.encode.native import copy_tuples
from analytics.extraction.encode.row_buffer import HELD_BYTES, RowBuffer
from analytics.extraction.encode.trace_json import rebuild
from analytics.extraction.plan import ExtractOptions, ExtractPlan, Progress, chunks, shares, span
from analytics.extraction.privacy.row_filter import PrivacyContext, RowFilter
from analytics.lake import schema
from analytics.lake.lake import Lake
from analytics.model import Fingerprint, Partition, PartitionInfo
from analytics.source.source import Source
from analytics.sql import Row
from analytics.storage import LakePath, readable

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics.estimates.arrays import Bytes

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_BLOCK_BYTES = 4 << 20
_ROWS, _BYTES = 500, 16 << 20  # at a time: Python's objects take many times the size of a trace


def missing_ids(path: LakePath, loaded: pa.StringArray) -> list[str]:
    """Execution ids of a partition's present file that are not among ``loaded``; none where there is no readable file."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(readable(path), pre_buffer=False)
        present = file.read(columns=["execution_id"], use_threads=False)["execution_id"]
        gone = present.filter(pc.invert(pc.is_in(present, value_set=loaded)))
    except (OSError, KeyError, pa.ArrowException):
        return []  # a damaged or foreign file: the source's rows replace it
    return [str(execution_id) for execution_id in gone.to_pylist()]


def blocks(path: LakePath, ids: Sequence[str] | None = None, *, without: Sequence[str] = ()) -> Iterator[Bytes]:
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


def _tuple(row: Row) -> bytes:
    """One row as ``native.copy_tuples`` reads it."""
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


_log = logging.getLogger(__name__)

T = TypeVar("T")


def side_by_side(
    tasks: Sequence[Callable[[], Generator[T]]], cancel: Callable[[], None] = lambda: None
) -> Generator[T]:
    """What the tasks yield, as it comes.

    The first error stops the others at their next item and is raised when all have ended, so nothing of theirs is still
    running when the caller hears of it. The same where the caller stops listening.

    Args:
        tasks: To do.
        cancel: Called when the others have to stop: ends what they wait for.
    """
    heard: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(maxsize=4)
    stop = threading.Event()

    def work(task: Callable[[], Generator[T]]) -> None:
        last: tuple[str, BaseException | None] = ("ended", None)
        try:
            with closing(task()) as items:  # it is told when nobody listens
                for item in items:
                    heard.put(("item", item))
                    if stop.is_set():
                        break
        except BaseException as error:  # raised again where the caller listens
            last = ("failed", error)
        heard.put(last)

    threads = [threading.Thread(target=work, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    running = len(threads)
    failure: BaseException | None = None
    try:
        while running:
            kind, what = heard.get()
            running -= kind != "item"
            if kind == "item" and failure is None:
                yield what  # type: ignore[misc]  # an item of theirs
            elif kind == "failed":
                if failure is None and running:
                    stop.set()
                    cancel()
                failure = failure or what  # type: ignore[assignment]
    finally:
        stop.set()
        if running:
            cancel()
        while running:  # the caller stopped listening: let them end
            running -= heard.get()[0] != "item"
        for thread in threads:
            thread.join()
    if failure is not None:
        raise failure


_SYNCS = 8


class Transfer:
    """The writing part of one extraction, chunk by chunk.

    Args:
        source: The snapshot.
        lake: Where to write.
        workspace: Folder for files on their way.
        plan: What differs.
        options: Of the run: its rates, connections, progress, and whether it follows a source that has lost rows.
        privacy: What is done to rows on their way.
        gather: Told of the rows, see ``partition_files.write``.

    Attributes:
        written: Partitions replaced.
        kept, dropped: Rows that are gone at the source.
        kept_ids: Of the rows that were kept.
        moved_count: Rows that are in another partition at the source now.
        strategies: Ids that the runs of each tenant name, of the partitions replaced.
    """

    def __init__(
        self,
        source: Source,
        lake: Lake,
        workspace: Path,
        plan: ExtractPlan,
        options: ExtractOptions,
        *,
        privacy: PrivacyContext,
        gather: partition_files.Gather | None = None,
    ) -> None:
        self._gather, self._privacy = gather, privacy
        self._source, self._lake, self._workspace, self._plan = source, lake, workspace, plan
        self._rates, self._allow_shrink = options.rates, options.allow_shrink
        self._jobs, self._progress = options.jobs, options.progress
        self._rows_total = sum(fingerprint.row_count for fingerprint in plan.changed.values())
        self._telling = threading.Lock()
        self.written: list[PartitionInfo] = []
        self._settled: dict[Partition, PartitionInfo | None] = {}
        self.kept: dict[Partition, int] = {}
        self.kept_ids: dict[Partition, pa.Array] = {}
        self.dropped: dict[Partition, int] = {}
        self.moved_count = 0
        self.strategies: dict[str | None, set[str]] = {}

    @property
    def settled(self) -> dict[Partition, PartitionInfo | None]:
        """Ledger entries so far; ``None`` for a partition that was taken away. A copy: other threads go on."""
        with self._telling:
            return dict(self._settled)

    def chunks(self) -> Iterator[set[date | None]]:
        """Do one chunk after the other; yields days as they are settled."""
        self._tell(None)
        for chunk in chunks(self._plan.changed):
            parts = shares(chunk, self._jobs)
            # Over all shares: a single day is cut by tenants, and is only done when all of them are.
            open_days = Counter(partition.day for partition in chunk)
            if len(parts) == 1:
                yield from self._share(self._source, parts[0], self._workspace, open_days)
                continue
            with contextlib.ExitStack() as stack:
                sources = [self._source, *(stack.enter_context(self._source.sibling()) for _ in parts[1:])]
                tasks = []
                for number, (source, part) in enumerate(zip(sources, parts, strict=True)):
                    workspace = self._workspace / f"job-{number}"
                    workspace.mkdir(exist_ok=True)
                    tasks.append(functools.partial(self._share, source, part, workspace, open_days))
                yield from side_by_side(tasks, functools.partial(_cancel, sources))

    def _share(
        self, source: Source, share: dict[Partition, Fingerprint], workspace: Path, open_days: Counter[date | None]
    ) -> Generator[set[date | None]]:
        """Read and write what one connection reads."""
        with (
            contextlib.closing(RowBuffer(workspace, share, held_bytes=HELD_BYTES // self._jobs)) as buffer,
            ThreadPoolExecutor(1) as writer,
        ):
            waiting: list[Future[list[Partition]]] = []
            row_filter, lake_row_filter = RowFilter(self._privacy), RowFilter(self._privacy, is_lake=True)

            def write(first: int, last: int) -> None:
                partitions = buffer.partitions[first : last + 1]
                sorted_rows = buffer.sorted_rows(first, last)
                waiting.append(writer.submit(self._write, sorted_rows, partitions, share, workspace, row_filter))

            def settled() -> Iterator[set[date | None]]:
                """Days that are done when the portion before is: two at once would take twice the memory."""
                while waiting:
                    days = Counter(partition.day for partition in waiting.pop().result())
                    with self._telling:
                        open_days.subtract(days)
                        whole = {day for day in days if not open_days[day]}
                    if whole:
                        yield whole

            done: set[int] = set()
            if any(fingerprint.row_count for fingerprint in share.values()):
                with source.executions(span(share)) as blocks:
                    for first, last in buffer.load(row_filter.apply(blocks)):
                        # What the source has lost can only be asked when the connection is free again.
                        if not any(self._missing(buffer, number) for number in range(first, last + 1)):
                            done.add(first)
                            yield from settled()
                            write(first, last)
            for first, last in buffer.groups():
                if first not in done:
                    for number in range(first, last + 1):
                        self._keep(source, buffer, number, lake_row_filter)
                    yield from settled()
                    write(first, last)
            yield from settled()

    def _missing(self, buffer: RowBuffer, number: int) -> list[str]:
        """Ids of a partition's present file that the source did not send."""
        path = self._lake.path("executions", buffer.partitions[number])
        return missing_ids(path, buffer.ids(number)) if path.is_file() else []

    def _keep(self, source: Source, buffer: RowBuffer, number: int, row_filter: RowFilter) -> None:
        """Carry over the rows of the present file that the source no longer has; those that moved are elsewhere."""
        import pyarrow as pa

        missing = self._missing(buffer, number)
        if not missing:
            return
        elsewhere = source.existing(missing)
        gone = [execution_id for execution_id in missing if execution_id not in elsewhere]
        partition = buffer.partitions[number]
        with self._telling:
            self.moved_count += len(missing) - len(gone)
            if gone:
                (self.dropped if self._allow_shrink else self.kept)[partition] = len(gone)
        if gone and not self._allow_shrink:
            self.kept_ids[partition] = pa.array(gone, pa.string())
            buffer.keep(row_filter.apply(blocks(self._lake.path("executions", partition), gone)))

    def _write(
        self,
        sorted_rows: SortedRows,
        partitions: Sequence[Partition],
        fingerprints: Mapping[Partition, Fingerprint],
        workspace: Path,
        row_filter: RowFilter,
    ) -> list[Partition]:
        """Write the portion's files and put them in their places."""
        import pyarrow as pa

        try:
            staged = partition_files.write(
                *(sorted_rows, partitions, fingerprints, workspace, self._rates, self._gather),
                excluded=row_filter.excluded,
                privacy_version=self._privacy.policy.privacy_version,
            )
        except pa.ArrowException as error:
            names = ", ".join(str(partition) for partition in partitions[:3])
            raise LakeError(
                f"the rows of {names}{' …' * (len(partitions) > 3)} cannot be written: {error}",
                hint="nothing of them was replaced; gigabytes of values in one realm and day are more than a writer can hold",
            ) from error
        self._forget([partition for partition, files in staged.items() if not files.info.row_count])
        # Several at a time: a disk that makes files durable one by one is mostly waiting.
        with ThreadPoolExecutor(min(_SYNCS, len(staged))) as syncing:
            for partition, info in zip(staged, syncing.map(self._replace, staged.values()), strict=True):
                with self._telling:
                    self._settled[partition] = info
                    self.strategies.setdefault(partition.realm, set()).update(staged[partition].strategies)
                    if info:
                        self.written.append(info)
                    self._tell(info)
        return list(staged)

    def _forget(self, emptied: Sequence[Partition]) -> None:
        """Take partitions of which nothing is left out of the ledger, before their files go.

        A run that is killed in between leaves a file that the ledger does not know, which the next run looks at again. The other
        way round it would leave an entry without a file, as a half-restored backup does: see ``plan.Plan.lost``.
        """
        with self._telling:
            for day in {partition.day for partition in emptied}:
                realms = {partition.realm for partition in emptied if partition.day == day}
                if (record := self._lake.recorded(day)) and any(
                    realm in realms and info.file_bytes for realm, info in record.partitions.items()
                ):
                    left = {realm: info for realm, info in record.partitions.items() if realm not in realms}
                    self._lake.record(dataclasses.replace(record, partitions=left))

    def _replace(self, finished: partition_files.StagedFiles) -> PartitionInfo | None:
        partition = finished.info.partition
        executions, node_days = (self._lake.path(table, partition) for table in ("executions", "node_days"))
        if finished.info.row_count:
            self._lake.replace(finished.executions, executions)
        else:
            self._lake.remove(executions)
        if finished.node_days:
            self._lake.replace(finished.node_days, node_days)
        else:
            self._lake.remove(node_days)
        # Rows that are there at the source and may not be here: without an entry each run would look at them again.
        return finished.info if finished.info.row_count or finished.info.erased_count else None

    def _tell(self, written: PartitionInfo | None) -> None:
        if self._progress:
            self._progress(Progress(len(self._settled), len(self._plan.changed), self._rows_total, written))


def _cancel(sources: Sequence[Source]) -> None:
    for source in sources:
        source.cancel()


@contextlib.contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the block's wall clock to ``seconds[step]``."""
    start = time.perf_counter()
    try:
        yield
    finally:
        took = time.perf_counter() - start
        seconds[step] = seconds.get(step, 0.0) + took
        _log.debug("%s took %.3f s", step, took)
