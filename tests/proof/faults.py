"""The planted defects: each breaks one guarantee, so that the scenario which proves it must fail.

A fault is a patch in the child's process, applied by name. ``DETECTED_BY`` says which scenario has to notice it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import queue
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .steps import Steps

Options = dict[str, Any]
_FAULTS: dict[str, Callable[[Steps, Options], None]] = {}

DETECTED_BY = {
    "rename before sync": "power cut",
    "folders never synced": "power cut",
    "ledger first": "kill at every step",
    "written in place": "kill at every step",
    "temporary name ends in .parquet": "kill at every step",
    "leftovers stay": "kill at every step",
    "appended instead of replaced": "kill at random moments",
    "no lock": "two and three at once",
    "lock broken without proof": "stale lock",
    "a broken lock goes unnoticed": "stale lock",
    "a full disk taken for success": "disk full",
    "a read-only disk taken for success": "read-only lake",
    "the end of the stream taken for the end of the rows": "server killed in COPY",
    "a cut connection taken for the end of the rows": "connection cut in COPY",
    "a cancelled statement taken for the end of the rows": "cancelled by the server",
    "strangers stay": "strangers planted",
    "sizes not looked at": "ledger lost, damaged, lying",
    "watermark instead of reconcile": "late commits",
    "horizon ignores open transactions": "completeness",
    "shrinks silently": "rows deleted",
    "kept rows stay where they were": "rows deleted",
    "updates not looked at": "rows changed and moved",
    "a day file of older rows": "many small tenants",
}


def plant(name: str, steps: Steps, options: Options) -> None:
    """Apply one defect to this process."""
    _FAULTS[name](steps, options)


def _fault(name: str) -> Callable[[Callable[[Steps, Options], None]], Callable[[Steps, Options], None]]:
    assert name in DETECTED_BY

    def register(function: Callable[[Steps, Options], None]) -> Callable[[Steps, Options], None]:
        _FAULTS[name] = function
        return function

    return register


# ---- the disk --------------------------------------------------------------------------------------------------------


@_fault("rename before sync")
def _rename_before_sync(steps: Steps, _: Options) -> None:
    _skip_sync(lambda mode: not stat.S_ISDIR(mode))


@_fault("folders never synced")
def _no_folder_sync(steps: Steps, _: Options) -> None:
    _skip_sync(stat.S_ISDIR)


def _skip_sync(skipped: Callable[[int], bool]) -> None:
    real = os.fsync

    def sync(descriptor: int) -> None:
        if not skipped(os.fstat(descriptor).st_mode):
            real(descriptor)

    os.fsync = sync


@_fault("ledger first")
def _ledger_first(steps: Steps, _: Options) -> None:
    from analytics.lake.lake import Lake

    waiting: list[tuple[Any, ...]] = []
    turn = threading.Lock()
    real_replace, real_record = Lake.replace, Lake.record

    def replace(self: Lake, staged: Path, target: Path) -> None:
        if steps.of(target) in ("executions", "node_days"):
            with turn:
                kept = staged.with_name(f"{len(waiting)}-{staged.name}")
                shutil.copy(staged, kept)
                waiting.append((self, kept, target))
        else:
            real_replace(self, staged, target)

    def record(self: Lake, entry: Any) -> None:
        real_record(self, entry)
        for step in waiting:
            real_replace(*step)
        waiting.clear()

    Lake.replace, Lake.record = replace, record  # type: ignore[method-assign]


@_fault("written in place")
def _in_place(steps: Steps, _: Options) -> None:
    from analytics.lake.lake import Lake

    def replace(self: Lake, staged: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        data = staged.read_bytes()
        with target.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            steps.around("! go on writing in place", lambda: None)
            file.write(data[len(data) // 2 :])
        staged.unlink()

    Lake.replace = replace  # type: ignore[method-assign]


@_fault("temporary name ends in .parquet")
def _visible_temporary(steps: Steps, _: Options) -> None:
    from analytics.lake.lake import Lake

    real = Lake.replace

    def replace(self: Lake, staged: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        between = target.with_name(".new.parquet")
        staged.rename(between)
        steps.around("! rename the visible file", lambda: None)
        real(self, between, target)

    Lake.replace = replace  # type: ignore[method-assign]


@_fault("leftovers stay")
def _leftovers(steps: Steps, _: Options) -> None:
    from analytics.lake.lake import Lake

    @contextlib.contextmanager
    def workspace(self: Lake) -> Iterator[Path]:
        folder = self.root / ".tmp" / f"run-{os.getpid()}"
        folder.mkdir(parents=True)
        yield folder
        shutil.rmtree(folder)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()

    Lake.workspace = workspace  # type: ignore[method-assign]


@_fault("appended instead of replaced")
def _append(steps: Steps, _: Options) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from analytics.lake.lake import Lake

    real = Lake.replace

    def replace(self: Lake, staged: Path, target: Path) -> None:
        if steps.of(target) == "executions" and target.exists():
            both = [pq.ParquetFile(path).read() for path in (target, staged)]
            pq.write_table(pa.concat_tables(both), staged)
        real(self, staged, target)

    Lake.replace = replace  # type: ignore[method-assign]


@_fault("a full disk taken for success")
@_fault("a read-only disk taken for success")
def _success_anyway(steps: Steps, _: Options) -> None:
    from analytics.errors import LakeError, LakeLockedError
    from analytics.extraction import job

    real = job.extract

    def extract(*args: Any, **options: Any) -> Any:
        try:
            return real(*args, **options)
        except LakeLockedError:
            raise
        except LakeError:
            return SimpleNamespace(to_dict=dict)

    job.extract = extract


@_fault("strangers stay")
def _strangers(steps: Steps, _: Options) -> None:
    from analytics.lake import foreign_files

    foreign_files.quarantine = lambda *_: []


@_fault("a day file of older rows")
def _stale_day_file(steps: Steps, _: Options) -> None:
    from analytics.extraction import day_files

    real = day_files._rows

    def rows(lake: Any, table: str, infos: Any, old: Any, base: Any) -> Any:
        if base:
            old = dataclasses.replace(old, partitions={info.partition.realm: info for info in infos})
        return real(lake, table, infos, old, base)

    day_files._rows = rows


@_fault("sizes not looked at")
def _sizes(steps: Steps, _: Options) -> None:
    from analytics.lake.lake import Lake

    Lake.holds = lambda *_: True  # type: ignore[method-assign, assignment]


# ---- the lock --------------------------------------------------------------------------------------------------------


@_fault("no lock")
def _no_lock(steps: Steps, _: Options) -> None:
    from analytics.lake.lake import Lake

    @contextlib.contextmanager
    def lock(self: Lake, wait_seconds: float = 0) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        yield

    Lake.lock = lock  # type: ignore[method-assign, assignment]


@_fault("lock broken without proof")
def _break_any(steps: Steps, _: Options) -> None:
    from analytics.storage.lock import Owner

    Owner.is_gone = True  # type: ignore[method-assign, assignment]


@_fault("a broken lock goes unnoticed")
def _no_fencing(steps: Steps, _: Options) -> None:
    from analytics.storage.lock import Held

    Held.ensure = lambda _: None  # type: ignore[method-assign, assignment]


# ---- the source ------------------------------------------------------------------------------------------------------


@_fault("the end of the stream taken for the end of the rows")
@_fault("a cut connection taken for the end of the rows")
@_fault("a cancelled statement taken for the end of the rows")
def _cut_is_end(steps: Steps, _: Options) -> None:
    """An error of the stream is its end, and what is written is compared with nothing."""
    from analytics.source import copy_stream
    from analytics.source.source import Source

    class Deaf(queue.SimpleQueue):  # type: ignore[type-arg]
        def put(self, item: Any, *rest: Any, **more: Any) -> None:
            super().put(None if isinstance(item, BaseException) else item, *rest, **more)

    class Anything(int):
        """Equal to every number."""

        __hash__ = int.__hash__

        def __eq__(self, _: object) -> bool:
            return True

        def __ne__(self, _: object) -> bool:
            return False

        def __add__(self, other: int) -> Anything:
            return Anything(int(self) + other)

        __radd__ = __add__

    real = Source.fingerprints

    def fingerprints(self: Source, *args: Any) -> Any:
        return {
            partition: dataclasses.replace(mark, row_count=Anything(mark.row_count), id_hash=Anything(mark.id_hash))
            for partition, mark in real(self, *args).items()
        }

    Source.fingerprints = fingerprints  # type: ignore[method-assign]
    copy_stream.queue = SimpleNamespace(SimpleQueue=Deaf, Empty=queue.Empty)  # type: ignore[assignment]


@_fault("watermark instead of reconcile")
def _watermark(steps: Steps, _: Options) -> None:
    """Only what is newer than the newest row of a partition makes it differ."""
    _pretend(lambda old, new: bool(old and new.max_created_at and old.max_created_at >= new.max_created_at))


@_fault("updates not looked at")
def _no_updates(steps: Steps, _: Options) -> None:
    _pretend(lambda old, new: (old.row_count, old.id_hash) == (new.row_count, new.id_hash))


def _pretend(is_same: Callable[[Any, Any], bool]) -> None:
    """Partitions of which ``is_same`` says so are found as they were."""
    from analytics.extraction import job

    real = job.compare

    def compare(lake: Any, window: Any, observed: Any, *rest: Any) -> Any:
        for partition, mark in list(observed.fingerprints.items()):
            record = lake.recorded(partition.day)
            info = record.partitions.get(partition.realm) if record else None
            if info and is_same(info.fingerprint, mark):
                observed.fingerprints[partition] = info.fingerprint
        return real(lake, window, observed, *rest)

    job.compare = compare


@_fault("horizon ignores open transactions")
def _horizon(steps: Steps, _: Options) -> None:
    from analytics.lake.lake import Lake

    real = Lake.record

    def record(self: Lake, entry: Any) -> None:
        real(self, dataclasses.replace(entry, complete_until=datetime.now(UTC), covers_all_realms=True))

    Lake.record = record  # type: ignore[method-assign]


@_fault("shrinks silently")
def _shrink(steps: Steps, options: Options) -> None:
    options["allow_shrink"] = True


@_fault("kept rows stay where they were")
def _never_met(steps: Steps, _: Options) -> None:
    from analytics.extraction.duplicates import Duplicates

    Duplicates.settle = lambda *_: []  # type: ignore[method-assign]
