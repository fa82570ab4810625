"""The writing part of one extraction: read the partitions that differ, chunk by chunk, and replace them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from analytics import partition_files
from analytics.lake import Lake
from analytics.model import Fingerprint, Partition, PartitionInfo, RealmFilter
from analytics.plan import Plan, chunks
from analytics.source import BLOCK_BYTES, RowTooLargeError, Source, larger_block
from analytics.staging import Stage

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


class Transfer:
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
            with timed(self._seconds, "write"):
                files = [self._lake.path("executions", partition) for partition in stage.partitions]
                vanished = stage.keep_vanished(files, self._source.existing, drop=self._allow_shrink)
                self.moved_count += stage.moved_count
                gone = {stage.partitions[number]: count for number, count in vanished.items()}
                staged = partition_files.write(stage, chunk, self._workspace, self._rate)
            with timed(self._seconds, "replace"):
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
                with timed(self._seconds, "read"):
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
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the block's wall clock to ``seconds[step]``."""
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
