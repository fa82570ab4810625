"""The job: find what differs between source and lake, and make those partitions equal to the source."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from analytics import definitions, partition_files
from analytics.bookkeeping import Bookkeeper
from analytics.lake import Lake
from analytics.model import ExtractResult, Fingerprint, Partition, PartitionInfo, RealmFilter
from analytics.plan import Plan, chunks, compare
from analytics.source import BLOCK_BYTES, COMMIT_LAG, RowTooLargeError, Source, larger_block
from analytics.staging import Stage
from analytics.window import Window

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Progress:
    """Told to the caller while a run goes on.

    Attributes:
        partitions_done, partitions_total: Of those that differ.
        rows_total: Rows to read in all.
        written: The partition that was just replaced; ``None`` once at the start.
    """

    partitions_done: int
    partitions_total: int
    rows_total: int
    written: PartitionInfo | None


def extract(
    url: str,
    lake: Lake,
    window: Window,
    *,
    realms: Sequence[str | None] = (),
    sample_rate: float,
    sample_rate_is_default: bool = False,
    force: bool = False,
    allow_shrink: bool = False,
    wait_seconds: float = 0,
    lag: timedelta = COMMIT_LAG,
    progress: Callable[[Progress], None] | None = None,
) -> ExtractResult:
    """Make the lake equal to the source for a window of whole UTC days.

    Args:
        url: Of the database; empty for libpq's own variables.
        lake: Where to write.
        window: Whole UTC days.
        realms: Only these tenants (``None`` is the NULL realm); all when empty.
        sample_rate: Fraction of ok runs the engine logs, 0 to 1; fixes each row's ``sample_weight``.
        sample_rate_is_default: Nobody configured it; carried into the result, so that it is never silent.
        force: Replace every partition of the window, whether it differs or not.
        allow_shrink: Follow the source when it has lost rows; without it such rows are kept and said.
        wait_seconds: How long to wait for another run to release the lake.
        lag: How long after its ``created_at`` a row's transaction may begin.
        progress: Called once with the plan and after each partition.

    Returns:
        What was written, kept and left alone. A second run in a row has ``nothing_to_do``.

    Raises:
        SourceError, LakeError: Nothing is half-written; partitions that were finished stay.
        LakeLockedError: Another run is writing this lake.
    """
    window = window.whole_days()
    chosen = RealmFilter.of(realms)
    seconds: dict[str, float] = {}
    with _timed(seconds, "wait"):
        lock = lake.lock(wait_seconds)
        lock.__enter__()
    with contextlib.ExitStack() as stack:
        stack.push(lock)
        with _timed(seconds, "connect"):
            source = stack.enter_context(Source(url, lag=lag))
        workspace = stack.enter_context(lake.workspace())
        with _timed(seconds, "fingerprint"):
            found = source.fingerprints(window, chosen)
            identity = source.identity()
        plan = compare(lake, window, chosen, found, sample_rate, force=force, allow_shrink=allow_shrink)
        run = _Run(source, lake, workspace, chosen, sample_rate, allow_shrink, seconds, progress, plan)
        book = Bookkeeper(lake, window, chosen, plan, source.horizon, identity)
        # Chunk by chunk, so that a run that dies half-way has not worked for nothing.
        for days in run.chunks():
            book.record(days, run.settled)
        with _timed(seconds, "definitions"):
            read = source.definitions()
            if not isinstance(read, str):
                definitions.write(lake, read, workspace)
        book.record([*window.days, None], run.settled)
    notes = [] if not isinstance(read, str) else [read]
    notes += book.notes(sample_rate)
    if run.moved_count:
        notes.append(
            f"{run.moved_count} rows have moved to another realm or day at the source; "
            "where that is outside this run, extract it too"
        )
    if source.change_column != "xmin":
        notes.append(
            f"an updated row is noticed only when it moves {source.change_column}: xmin cannot be read (a view, or column "
            "rights without it)"
        )
    return ExtractResult(
        window=window,
        written=run.written,
        unchanged=plan.unchanged,
        kept=run.kept,
        dropped=run.dropped,
        horizon=source.horizon,
        incomplete_days=book.incomplete_days,
        unread_columns=source.unread_columns,
        sample_rate=sample_rate,
        sample_rate_is_default=sample_rate_is_default,
        definitions=None if isinstance(read, str) else len(read),
        notes=notes,
        seconds=seconds,
        removed=sum(info is None for info in run.settled.values()),
    )


class _Run:
    """The writing part of one extraction, chunk by chunk."""

    def __init__(
        self,
        source: Source,
        lake: Lake,
        workspace: Path,
        chosen: RealmFilter,
        rate: float,
        allow_shrink: bool,
        seconds: dict[str, float],
        progress: Callable[[Progress], None] | None,
        plan: Plan,
    ) -> None:
        self._source, self._lake, self._workspace, self._chosen = source, lake, workspace, chosen
        self._rate, self._allow_shrink, self._seconds, self._plan = rate, allow_shrink, seconds, plan
        self._progress = progress
        self._rows_total = sum(fingerprint.row_count for fingerprint in plan.changed.values())
        self.written: list[PartitionInfo] = []
        self.settled: dict[Partition, PartitionInfo | None] = {}
        self.kept: dict[Partition, int] = {}
        self.dropped: dict[Partition, int] = {}
        self.moved_count = 0

    def chunks(self) -> Iterator[set[date | None]]:
        """Do one chunk after the other; yields the days each has settled."""
        self._tell(None)
        for chunk in chunks(self._plan.changed):
            self._chunk(chunk)
            yield {partition.day for partition in chunk}

    def _chunk(self, chunk: dict[Partition, Fingerprint]) -> None:
        with contextlib.closing(self._load(chunk)) as stage:
            with _timed(self._seconds, "write"):
                files = [self._lake.path("executions", partition) for partition in stage.partitions]
                vanished = stage.keep_vanished(files, self._source.existing, drop=self._allow_shrink)
                self.moved_count += stage.moved_count
                gone = {stage.partitions[number]: count for number, count in vanished.items()}
                staged = partition_files.write(stage, chunk, self._workspace, self._rate)
            with _timed(self._seconds, "replace"):
                for partition, finished in staged.items():
                    info = finished.info
                    if count := gone.get(partition):
                        (self.dropped if self._allow_shrink else self.kept)[partition] = count
                    if info.row_count == 0:
                        self._lake.remove(self._lake.path("executions", partition))
                        self._lake.remove(self._lake.path("node_days", partition))
                        self.settled[partition] = None
                        self._tell(None)
                        continue
                    self._lake.replace(finished.executions, self._lake.path("executions", partition))
                    if finished.node_days:
                        self._lake.replace(finished.node_days, self._lake.path("node_days", partition))
                    else:
                        self._lake.remove(self._lake.path("node_days", partition))
                    self.settled[partition] = info
                    self.written.append(info)
                    self._tell(info)

    def _load(self, chunk: dict[Partition, Fingerprint]) -> Stage:
        """The chunk's rows; read again with larger blocks when a row is larger than a block."""
        block = BLOCK_BYTES
        while True:
            stage = Stage(self._workspace, list(chunk), self._rate)
            try:
                with _timed(self._seconds, "read"):
                    if any(fingerprint.row_count for fingerprint in chunk.values()):
                        stage.load(self._rows(chunk, block))
                return stage
            except RowTooLargeError:
                stage.close()
                block = larger_block(block)
            except BaseException:
                stage.close()
                raise

    def _rows(self, chunk: dict[Partition, Fingerprint], block_bytes: int) -> Iterator[pa.RecordBatch]:
        days = [partition.day for partition in chunk if partition.day]
        # Only the realms that differ: a late row of one tenant must not cost a read of them all.
        names = {partition.realm for partition in chunk}
        return self._source.executions(
            min(days, default=None),
            max(days, default=None),
            RealmFilter.of(sorted(names, key=lambda realm: (realm is None, realm or ""))),
            undated=len(days) < len(chunk),
            block_bytes=block_bytes,
        )

    def _tell(self, written: PartitionInfo | None) -> None:
        if self._progress:
            self._progress(Progress(len(self.settled), len(self._plan.changed), self._rows_total, written))


@contextlib.contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
