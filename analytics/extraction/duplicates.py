"""Runs that stand in two partitions: taken out of where they stood before, so that each is in the lake once.

A row that the source moves to another day or tenant, or that comes back after it was deleted, is read where it is now. Where it
was, the lake may go on holding it: that day is not in the window, that tenant was not asked for, or it was kept. Whoever adds
over partitions would count it twice, so before a day is recorded its runs are looked for in the rest of the lake.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.extraction import day_files
from analytics.extraction.plan import ExtractPlan
from analytics.extraction.rewrite_partition import hash_of, put, without_ids
from analytics.lake import ledger, ledger_columns, small_partitions
from analytics.lake.lake import Lake
from analytics.model import DayRecord, Partition, PartitionInfo
from analytics.storage import LakePath, readable, typed_json
from analytics.window import Window

if TYPE_CHECKING:
    import pyarrow as pa

NEAR = timedelta(days=7)
"""In a large lake, where nothing is odd, a run's other place is looked for within so many days of the window."""
MOST_ROWS, MOST_FILES = 5_000_000, 4_000
"""Up to so many rows and files the whole rest of the lake is looked through; a second or two."""
MOST_ROWS_IN_BUCKET, MOST_FILES_IN_BUCKET = 1_000_000, 400
_ROWS_AT_ONCE = 1_000_000
"""Ids that are compared in one go: the table of those looked for is built anew each time."""


@dataclass(frozen=True, slots=True)
class RemovedRows:
    """Rows that were taken out of a partition.

    Attributes:
        partition: Where they stood.
        count: Rows.
        info: The partition's new entry; ``None`` where nothing is left of it.
    """

    partition: Partition
    count: int
    info: PartitionInfo | None


@dataclass(frozen=True, slots=True)
class _File:
    """A file to look into: that of one partition, or a day file with the small ones of a day.

    Attributes:
        path: Of it.
        day: Of its rows.
        realms: Whose rows are looked into; a day file may hold others'.
        infos: What the ledger tells of the day's partitions, theirs among them.
    """

    path: LakePath
    day: date | None
    realms: Set[str | None]
    infos: Mapping[str | None, PartitionInfo]

    def is_of(self, partition: Partition) -> bool:
        """It holds nothing else."""
        return self.day == partition.day and self.realms == {partition.realm}


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a day holds besides what is read anew: of tens of thousands of partitions hardly one is more than a name and a count.

    Attributes:
        record: The ledger's.
        rows: Of each partition that has some.
    """

    record: DayRecord
    rows: Mapping[str | None, int]


class Duplicates:
    """Looks for the runs of one extraction elsewhere in the lake.

    Args:
        lake: The files; locked.
        plan: What was compared. Partitions that it reads anew are not looked into: they become what the source has.
        window: Whose days.
        workspace: Folder for files on their way.
    """

    def __init__(self, lake: Lake, plan: ExtractPlan, window: Window, workspace: Path) -> None:
        self._lake, self._plan, self._window = lake, plan, window
        self._workspace = workspace / "duplicates"

    def settle(
        self,
        written: Mapping[Partition, PartitionInfo],
        kept: Mapping[Partition, pa.Array],
        settled: Mapping[Partition, PartitionInfo | None],
    ) -> list[RemovedRows]:
        """Take what was just written out of every other partition, and record those.

        Args:
            written: Partitions that were just written, and are not recorded yet.
            kept: Of these, ids of rows that the source has lost.
            settled: All that this run has written or taken away, ``written`` among them.

        Returns:
            What was taken out where. A row that two partitions keep, though the source has it nowhere, stays where it was
            updated last, which may be the other one.
        """
        import pyarrow.compute as pc

        if not written:
            return []
        elsewhere = self._files([*written])
        lost = _texts(kept[partition] for partition in written if partition in kept)
        taken: list[RemovedRows] = []
        if elsewhere:
            there = _texts(self._ids(self._lake.path("executions", partition)) for partition in written)
            if len(lost):  # the source has them nowhere, so it has not moved them
                there = there.filter(pc.invert(pc.is_in(there, value_set=lost)))
            for info, ids in self._holding(there, elsewhere):
                taken.append(self._take(info, ids))
        if len(lost):
            read = {partition: info for partition, info in settled.items() if info}
            taken += self._keep_once({p: kept[p] for p in written if p in kept}, elsewhere, read)
        return taken

    # ---- where to look ---------------------------------------------------------------------------------------------

    def _files(self, written: list[Partition]) -> list[_File]:
        """The rest of the lake, or of a large one what is near."""
        records = [record for day in self._lake.recorded_days() if (record := self._lake.recorded(day))]
        rest = [found for record in records if (found := self._rest(record)).rows]
        most_rows, most_files = MOST_ROWS, MOST_FILES
        if self._lake.storage.is_remote:
            most_rows, most_files = MOST_ROWS_IN_BUCKET, MOST_FILES_IN_BUCKET
        rows = sum(sum(one.rows.values()) for one in rest)
        files = sum(min(len(one.rows), small_partitions.LEAST) for one in rest)
        if (rows > most_rows or files > most_files) and not any(self._is_odd(partition) for partition in written):
            rest = [one for one in rest if self._is_near(one.record)]
        return [file for one in rest for file in self._of_day(one)]

    def _rest(self, record: DayRecord) -> _Rest:
        changed = {partition.realm for partition in self._plan.changed if partition.day == record.day}
        told = ledger_columns.sizes(record)
        return _Rest(record, {realm: rows for realm, rows, *_ in told if rows and realm not in changed})

    def _is_odd(self, partition: Partition) -> bool:
        """New ids in a day that was complete: no late row, for those were waited for."""
        record = self._plan.records.get(partition.day)
        if record is None or not record.is_complete:
            return False
        known = record.partitions.get(partition.realm)
        return (
            known is None or known.fingerprint.id_hash != self._plan.changed.get(partition, known.fingerprint).id_hash
        )

    def _is_near(self, record: DayRecord) -> bool:
        if record.day is None or ledger_columns.has_kept(record):
            return True
        return (self._window.since - NEAR).date() <= record.day < (self._window.until + NEAR).date()

    def _of_day(self, rest: _Rest) -> Iterator[_File]:
        record, day, infos = rest.record, rest.record.day, rest.record.partitions
        is_many = len(rest.rows) >= small_partitions.LEAST
        shared = day_files.current(self._lake, record).get("executions") if is_many else None
        small = {realm for realm, rows in rest.rows.items() if shared and small_partitions.is_small(rows)}
        if shared and len(small) > 1:
            yield _File(shared.path, day, small, infos)
        else:
            small = set()
        for realm in rest.rows:
            if realm not in small:
                yield _File(self._lake.path("executions", Partition(realm, day)), day, {realm}, infos)

    # ---- looking ---------------------------------------------------------------------------------------------------

    def _holding(self, wanted: pa.Array, files: Iterable[_File]) -> Iterator[tuple[PartitionInfo, list[str]]]:
        """Partitions that hold some of these ids, and which."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not len(wanted):
            return
        batch: list[tuple[_File, pa.Table]] = []
        with ThreadPoolExecutor(self._lake.storage.concurrent_reads) as pool:
            files = [*files]
            rows = 0
            for file, table in zip(files, pool.map(_read, files), strict=True):
                if table is not None:
                    batch.append((file, table))
                    rows += len(table)
                if batch and (rows >= _ROWS_AT_ONCE or file is files[-1]):
                    every = pa.chunked_array([chunk for _, table in batch for chunk in table["execution_id"].chunks])
                    found = pc.is_in(every, value_set=wanted)
                    start = 0
                    for held, table in batch:
                        hits = table.filter(found.slice(start, len(table)))
                        start += len(table)
                        yield from _by_partition(held, hits)
                    batch, rows = [], 0

    def _keep_once(
        self, kept: Mapping[Partition, pa.Array], elsewhere: list[_File], read: Mapping[Partition, PartitionInfo]
    ) -> list[RemovedRows]:
        """Rows that the source has nowhere and two partitions hold: each stays where it was updated last."""
        losers: dict[Partition, tuple[PartitionInfo, set[str]]] = {}
        mine = [_File(self._lake.path("executions", p), p.day, {p.realm}, {p.realm: info}) for p, info in read.items()]
        for partition, ids in kept.items():
            others = [file for file in [*elsewhere, *mine] if not file.is_of(partition)]
            for info, twice in self._holding(ids, others):
                if info.partition == partition:
                    continue
                own, its = self._times(partition, twice), self._times(info.partition, twice)
                for execution_id in twice:
                    rank = (own.get(execution_id, ()), str(partition)), (its.get(execution_id, ()), str(info.partition))
                    loser = info if rank[0] > rank[1] else read[partition]
                    losers.setdefault(loser.partition, (loser, set()))[1].add(execution_id)
        return [self._take(info, sorted(ids)) for info, ids in losers.values()]

    def _times(self, partition: Partition, ids: Collection[str]) -> dict[str, tuple[float, float]]:
        """When rows were updated and created, in seconds; unknown times are old ones."""
        import pyarrow.parquet as pq

        names = ("updated_at", "created_at")
        rows = pq.read_table(
            readable(self._lake.path("executions", partition)),
            columns=["execution_id", *names],
            filters=[("execution_id", "in", [*ids])],
        ).to_pylist()
        found = {}
        for row in rows:
            updated, created = (row[name].timestamp() if row[name] else -math.inf for name in names)
            found[row["execution_id"]] = (updated, created)
        return found

    def _ids(self, path: LakePath) -> pa.Array:
        import pyarrow.parquet as pq

        with pq.ParquetFile(readable(path), pre_buffer=False) as file:  # mostly small ones, of which there are many
            return file.read(columns=["execution_id"], use_threads=False)["execution_id"].combine_chunks()

    # ---- taking out ------------------------------------------------------------------------------------------------

    def _take(self, info: PartitionInfo, ids: list[str]) -> RemovedRows:
        # Where the source has not changed since, they were rows that it had lost.
        journal = _Journal(info, ids, were_kept=info.partition in self._plan.same)
        self._lake.write_text(_journal_path(self._lake), journal.to_json())
        return RemovedRows(info.partition, len(ids), journal.carry_out(self._lake, info, ids, self._workspace))


def finish_the_last(lake: Lake, workspace: Path) -> None:
    """Finish what a killed run was about to take out of a partition; only under the lock, before anything is compared."""
    path = _journal_path(lake)
    try:
        journal = _Journal.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except typed_json.WRONG:
        lake.remove(path)  # not ours; a partition that is not as the ledger says is named by check
        return
    partition = journal.info.partition
    record = lake.recorded(partition.day)
    known = record.partitions.get(partition.realm) if record else None
    there = _current_file(lake, journal.info)
    if known == journal.info and there is not None:
        left = [execution_id for execution_id in journal.ids if execution_id in there.ids]
        gone = len(journal.ids) - len(left)
        if there.info.row_count + gone == known.row_count:  # otherwise something else has changed the file
            journal.carry_out(lake, there.info, left, workspace / "duplicates")
            return
    lake.remove(path)


@dataclass(frozen=True, slots=True)
class _CurrentFile:
    """A partition's file as it is, whatever the ledger says."""

    info: PartitionInfo
    ids: Collection[str]


def _current_file(lake: Lake, info: PartitionInfo) -> _CurrentFile | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = lake.path("executions", info.partition)
    if not path.is_file():
        return _CurrentFile(replace(info, row_count=0, id_hash=0, file_bytes=0), set())
    try:
        with pq.ParquetFile(readable(path)) as file:
            ids = set(file.read(columns=["execution_id"])["execution_id"].to_pylist())
    except (OSError, KeyError, pa.ArrowException):
        return None
    return _CurrentFile(replace(info, row_count=len(ids), id_hash=hash_of(ids), file_bytes=path.stat().st_size), ids)


@dataclass(frozen=True, slots=True)
class _Journal:
    """What is about to be taken out of a partition, written before it is.

    Attributes:
        info: The ledger's entry before.
        ids: Of the rows.
        were_kept: The source had lost them before.
    """

    info: PartitionInfo
    ids: list[str]
    were_kept: bool

    def to_json(self) -> str:
        day = self.info.partition.day
        told = {"day": day.isoformat() if day else None, "before": ledger.entry(self.info)}
        return json.dumps({**told, "ids": self.ids, "were_kept": self.were_kept}, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> _Journal:
        told = typed_json.document(text)
        day = typed_json.day_or_none(told["day"])
        return cls(
            ledger.info_of(told["before"], day), typed_json.texts(told["ids"]), typed_json.flag(told["were_kept"])
        )

    def carry_out(self, lake: Lake, there: PartitionInfo, ids: list[str], workspace: Path) -> PartitionInfo | None:
        """Take out the ids that are still there, record it, and forget the journal.

        Args:
            lake: The files.
            there: As ``info``, with what the file holds now.
            ids: Those of them.
            workspace: Folder for files on their way.

        Returns:
            The partition's new entry; ``None`` where nothing is left of it.
        """
        partition, count = self.info.partition, len(self.ids)
        workspace.mkdir(parents=True, exist_ok=True)
        if there.row_count > len(ids):
            files = without_ids(lake, there, ids, workspace)
            fresh = files.info
            put(lake, files)
        else:
            fresh = replace(
                there, row_count=0, id_hash=0, trace_entries=0, irregular_count=0, status_counts={}, file_bytes=0
            )
            fresh = replace(fresh, node_days_bytes=0)
            for table in ("node_days", "executions"):
                lake.remove(lake.path(table, partition))
        if self.were_kept:
            fresh = replace(fresh, kept_count=max(0, fresh.kept_count - count))
        else:
            fresh = replace(fresh, erased_count=fresh.erased_count + count)
        left = fresh if fresh.row_count or self.info.erased_count else None
        if record := lake.recorded(partition.day):
            entries = {**record.partitions, partition.realm: fresh}
            if left is None:
                entries.pop(partition.realm)
            lake.record(replace(record, partitions=entries))
        lake.remove(_journal_path(lake))
        return left


def _journal_path(lake: Lake) -> LakePath:
    return lake.root / "ledger" / "taking-out.json"


def _texts(arrays: Iterable[pa.Array]) -> pa.Array:
    import pyarrow as pa

    found = [array.cast(pa.string()) for array in arrays]
    return pa.concat_arrays(found) if found else pa.nulls(0, pa.string())  # of a list Arrow would load pandas


def _read(file: _File) -> pa.Table | None:
    """Ids, and realms where there are several; ``None`` for a file that cannot be read: ``check`` names it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["execution_id", "realm_id"] if len(file.realms) > 1 else ["execution_id"]
    try:
        if len(file.realms) == 1 and file.path.stat().st_size != file.infos[next(iter(file.realms))].file_bytes:
            return None
        with pq.ParquetFile(readable(file.path), pre_buffer=False) as opened:
            return opened.read(columns=columns, use_threads=False)
    except (OSError, KeyError, pa.ArrowException):
        return None


def _by_partition(file: _File, hits: pa.Table) -> Iterator[tuple[PartitionInfo, list[str]]]:
    found: dict[str | None, list[str]] = {}
    for row in hits.to_pylist():
        realm = row["realm_id"] if len(file.realms) > 1 else next(iter(file.realms))
        if realm in file.realms:  # a day file also has partitions that are read anew
            found.setdefault(realm, []).append(row["execution_id"])
    for realm, ids in found.items():
        yield file.infos[realm], ids
