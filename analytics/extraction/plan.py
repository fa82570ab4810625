"""What differs between source and lake, and in which portions to read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from analytics.estimates.sampling_rates import RateStep
from analytics.extraction.options import ExtractOptions
from analytics.lake import source_identity
from analytics.lake.lake import Lake
from analytics.lake.paths import day_of
from analytics.lake.source_identity import may_repeat
from analytics.model import DayRecord, Fingerprint, Partition, PartitionInfo, RealmFilter, Span, TransactionIds
from analytics.storage import readable
from analytics.window import Window

MOST_ROWS_AT_ONCE = 2_000_000
"""Days are read together up to this many rows: without an index on created_at every statement scans the whole table, and
with too many rows in one statement a killed run loses too much work."""

_MOST_NAMED = 3
_GONE = Fingerprint(row_count=0, id_hash=0, change_hash=0)


@dataclass(frozen=True, slots=True)
class ExtractPlan:
    """What differs, and what does not.

    Attributes:
        changed: Partitions to replace, with what the source says of them.
        same: The others, as the ledger knows them.
        other_rates: Of these, those weighed with other rates than are said now; with the latter.
        records: The ledger of the window's days.
        lost: Partitions whose file is gone while the source has fewer rows than the ledger tells of. They are left alone: a backup
            may still have them, and once the ledger tells of less nobody would look for it.
        other_files: Of the changed ones, those whose file was gone or another one than the ledger's, as the ledger knows them.
        repeated: Why partitions are read again in which nothing seems to differ, and how many for each reason.
    """

    changed: dict[Partition, Fingerprint]
    same: dict[Partition, PartitionInfo]
    other_rates: dict[Partition, tuple[RateStep, ...]]
    records: dict[date | None, DayRecord | None]
    lost: dict[Partition, PartitionInfo] = field(default_factory=dict)
    other_files: dict[Partition, PartitionInfo] = field(default_factory=dict)
    repeated: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the source says, in one snapshot.

    Attributes:
        fingerprints: Of each partition that has rows.
        ids: What the source counts transactions by: where they may repeat, equal fingerprints are no proof.
        is_standby: The source is one.
    """

    fingerprints: dict[Partition, Fingerprint]
    ids: TransactionIds | None = None
    is_standby: bool = False


def compare(
    lake: Lake, window: Window, observed: Observed, sizes: Mapping[str, int], options: ExtractOptions
) -> ExtractPlan:
    """Which partitions differ from what the ledger and the files say.

    Args:
        lake: With its ledger.
        window: Days to compare.
        observed: What the source has.
        sizes: Of the window's partition files, by name.
        options: Which tenants are compared, and what makes a partition differ besides its rows: with ``force`` everything
            does; with ``allow_shrink`` what was kept though the source has lost it, and what both have lost; a policy with
            another treatment of ids and payload values than the partition had.
    """
    chosen, rates, treatment = options.chosen, options.rates, options.policy.privacy_version
    fingerprints, ids = observed.fingerprints, observed.ids
    remembered = set(lake.recorded_days())  # one look at the folder: a window may have a million days
    records = {day: lake.recorded(day) if day in remembered else None for day in [*window.days, None]}
    changed: dict[Partition, Fingerprint] = {}
    same: dict[Partition, PartitionInfo] = {}
    other_rates: dict[Partition, tuple[RateStep, ...]] = {}
    known = {
        partition
        for record in records.values()
        if record
        for partition in (info.partition for info in record.partitions.values())
        if chosen.holds(partition.realm)
    }
    known |= {p for p in _orphans(lake, sizes, known | set(fingerprints)) if chosen.holds(p.realm)}
    lost: dict[Partition, PartitionInfo] = {}
    other_files: dict[Partition, PartitionInfo] = {}
    if ids:
        ids = ids.following(_remembered_ids(lake, records), is_standby=observed.is_standby)
    repeated: Counter[str] = Counter()
    for partition in sorted(known | set(fingerprints), key=_order):
        fingerprint = replace(fingerprints.get(partition, _GONE), ids=ids)
        record = records.get(partition.day)
        info = record.partitions.get(partition.realm) if record else None
        if info is not None and not lake.holds(info, sizes):
            is_gone = bool(info.row_count) and not sizes.get(lake.name("executions", partition))
            if is_gone and fingerprint.row_count < info.row_count and not options.allow_shrink:
                lost[partition] = info
                continue
            other_files[partition] = info
        follows = options.force or (options.allow_shrink and info is not None and info.kept_count > 0)
        follows |= info is not None and info.privacy_version != treatment
        if info is None or follows or info.fingerprint != fingerprint or partition in other_files:
            changed[partition] = fingerprint
            continue
        if fingerprint.row_count and record and (why := may_repeat(ids_of(info, record), ids)):
            changed[partition] = fingerprint
            repeated[why] += 1
            continue
        same[partition] = info
        steps = rates.of_day(partition.realm, partition.day)
        if info.sample_rates != steps:
            other_rates[partition] = steps
    return ExtractPlan(changed, same, other_rates, records, lost, other_files, repeated)


def notes(plan: ExtractPlan, settled: Mapping[Partition, PartitionInfo | None]) -> list[str]:
    """What a person should know of files that were not as the ledger says, in sentences.

    Args:
        plan: What was compared.
        settled: What became of the partitions that differed.
    """
    said = []
    if plan.lost:
        some, rows = _named([*plan.lost]), sum(info.row_count for info in plan.lost.values())
        count = len(plan.lost)
        are = "file of a partition is" if count == 1 else f"files of {count} partitions are"
        said.append(
            f"the {are} gone, and the source has fewer than the {rows:,} rows that the ledger tells of "
            f"({some}): nothing was written there; put the files back from a backup, or give --allow-shrink once to go on with "
            "what the source has"
        )
    less = {
        partition: (info.row_count, left.row_count if (left := settled.get(partition)) else 0)
        for partition, info in plan.other_files.items()
        if partition in settled
    }
    short = {partition: before - now for partition, (before, now) in less.items() if now < before}
    if short:
        said.append(
            f"the files of {len(short)} partitions were not those of the ledger ({_named([*short])}); they and the source have "
            f"{sum(short.values()):,} rows fewer than the ledger told of: a backup may have them, unless they have moved"
        )
    if whole := [partition for partition in less if partition not in short]:
        said.append(
            f"the files of {len(whole)} partitions were lost or other ones ({_named(whole)}), and were made again"
        )
    return said


def _named(partitions: list[Partition]) -> str:
    return ", ".join(map(str, partitions[:_MOST_NAMED])) + " …" * (len(partitions) > _MOST_NAMED)


def ids_of(info: PartitionInfo, record: DayRecord) -> TransactionIds | None:
    """What a partition's transaction ids were counted by, as far as the ledger tells."""
    server = record.source.get("system_identifier")
    return info.fingerprint.ids or (TransactionIds(server) if server else None)


def _remembered_ids(lake: Lake, records: Mapping[date | None, DayRecord | None]) -> Iterator[TransactionIds | None]:
    """Of the window, and of what was written last."""
    for record in records.values():
        yield from (info.fingerprint.ids for info in (record.partitions.values() if record else ()))
    for record in source_identity.records_by_age(lake):
        found = [info.fingerprint.ids for info in record.partitions.values()]
        if any(found):
            yield from found
            return


def _orphans(lake: Lake, names: Iterable[str], placed: set[Partition]) -> Iterator[Partition]:
    """Partitions with a file that neither the ledger nor the source knows: of a killed run, or of a lost ledger."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    expected = {lake.name("executions", partition) for partition in placed}
    executions = f"{lake.root / 'executions'}/"
    for name in names:
        if name in expected or not name.startswith(executions):
            continue
        try:
            # The folder's name may be shortened: the realm is inside.
            realms = (
                pq.ParquetFile(readable(lake.place(name)))
                .read(columns=["realm_id"])["realm_id"]
                .slice(0, 1)
                .to_pylist()
            )
        except (pa.ArrowException, KeyError, OSError):
            continue  # no file of ours: check names it
        day = day_of(lake.place(name).parent.name)
        if realms and lake.name("executions", Partition(realms[0], day)) == name:
            yield Partition(realms[0], day)


def _order(partition: Partition) -> tuple[date, bool, str]:
    return (partition.day or date.max, partition.realm is None, partition.realm or "")


def chunks(changed: dict[Partition, Fingerprint]) -> Iterator[dict[Partition, Fingerprint]]:
    """Consecutive days together, up to ``MOST_ROWS_AT_ONCE``; the undated rows on their own."""
    by_day: dict[date | None, dict[Partition, Fingerprint]] = {}
    for partition, fingerprint in changed.items():
        by_day.setdefault(partition.day, {})[partition] = fingerprint
    undated = by_day.pop(None, None)
    chunk: dict[Partition, Fingerprint] = {}
    last: date | None = None
    for day in sorted(day for day in by_day if day):
        rows = sum(fingerprint.row_count for fingerprint in [*chunk.values(), *by_day[day].values()])
        if chunk and (rows > MOST_ROWS_AT_ONCE or (last and day - last > timedelta(days=1))):
            yield chunk
            chunk = {}
        chunk.update(by_day[day])
        last = day
    if chunk:
        yield chunk
    if undated:
        yield undated


def shares(chunk: dict[Partition, Fingerprint], jobs: int) -> list[dict[Partition, Fingerprint]]:
    """Cut a chunk into parts of about as many rows for several connections: whole days, or the tenants of a single one."""
    partitions = list(chunk)
    by_day = len({partition.day for partition in partitions}) > 1
    total = sum(fingerprint.row_count for fingerprint in chunk.values())
    parts: list[dict[Partition, Fingerprint]] = [{}]
    rows = 0
    for place, partition in enumerate(partitions):
        may_cut = not by_day or (place > 0 and partitions[place - 1].day != partition.day)
        if parts[-1] and may_cut and rows >= total * len(parts) / jobs and len(parts) < jobs:
            parts.append({})
        parts[-1][partition] = chunk[partition]
        rows += chunk[partition].row_count
    return parts


def span(share: Iterable[Partition]) -> Span:
    """What to ask the server for."""
    partitions = list(share)
    days = [partition.day for partition in partitions if partition.day]
    # Only the realms that differ: a late row of one tenant must not cost a read of them all.
    realms = sorted({partition.realm for partition in partitions}, key=lambda realm: (realm is None, realm or ""))
    return Span(
        min(days, default=None), max(days, default=None), RealmFilter.of(realms), undated=len(days) < len(partitions)
    )
