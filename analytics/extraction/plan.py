"""What an extraction is to do: how it goes about it, what differs between source and lake, and in which portions to read it.

Expired days are not brought back, unless somebody wants them back and says so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from analytics.config import PATIENCE, RETRIES
from analytics.errors import LakeError, UsageError
from analytics.estimates.sampling_rates import Rates, RateStep
from analytics.extraction.privacy.policy import Policy
from analytics.lake import expiry_mark, source_identity
from analytics.lake.expiry_mark import Expired
from analytics.lake.lake import Lake, day_of
from analytics.lake.source_identity import may_repeat
from analytics.model import DayRecord, Fingerprint, Partition, PartitionInfo, RealmFilter, Span, TransactionIds
from analytics.source.watermark import COMMIT_LAG
from analytics.storage import readable
from analytics.version import __version__
from analytics.window import ONE_DAY, Window

MOST_JOBS = 16
"""Each is a connection and a share of memory; the server's own cores are the limit long before."""

_LONGEST_WAIT = 86_400.0
"""Seconds: a run from cron is followed by the next by then."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        partitions_done, partitions_total: Of those that differ.
        rows_total: Rows to read in all.
        written: The partition that was just replaced; ``None`` once at the start.
    """

    partitions_done: int
    partitions_total: int
    rows_total: int
    written: PartitionInfo | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractOptions:
    """What is to be extracted, and how; what it is extracted from and to is the job's own.

    Attributes:
        rates: Fractions of ok runs the engine logs; they fix each row's ``sample_weight``. Where nobody has said one the
            result says so: a default is never silent.
        realms: Only these tenants (``None`` is the NULL realm); all when empty.
        policy: What is done with people's ids and with event fields; nothing when not given.
        force: Replace every partition of the window, whether it differs or not.
        allow_shrink: Follow the source when it has lost rows; without it such rows are kept, and a note says so.
        wait_seconds: How long to wait for another run to release the lake, a day at most.
        break_lock: Break the lock of a run that is gone, or has shown no sign of life for ten minutes.
        jobs: Connections to read with, side by side, all of one snapshot; at most ``MOST_JOBS``.
        lag: How long after its ``created_at`` a row's transaction may begin.
        patience: Open transactions of the source older than this are not waited for; their spans are noted and recorded.
        retries: How often in a row to try again when the source failed for a moment.
        accept_source: Another server or database than the one the lake was made from is meant.
        also_expired: Days of the window that were expired are wanted back; without it they are left alone, with a note.
        accept_key: Another pseudonym key than the lake's, or none, is meant.
        notice: Called with what cannot wait for the result's notes: that the source failed and is tried again.
        progress: Called once with the plan and after each partition, in each attempt.

    Raises:
        UsageError: Too few or too many jobs, or a time to wait that is none.
    """

    rates: Rates
    realms: Sequence[str | None] = ()
    policy: Policy = field(default_factory=Policy)
    force: bool = False
    allow_shrink: bool = False
    wait_seconds: float = 0
    break_lock: bool = False
    jobs: int = 1
    lag: timedelta = COMMIT_LAG
    patience: timedelta = PATIENCE
    retries: int = RETRIES
    accept_source: bool = False
    also_expired: bool = False
    accept_key: bool = False
    notice: Callable[[str], None] | None = None
    progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MOST_JOBS:
            raise UsageError(
                f"{self.jobs} connections are {'none to read with' if self.jobs < 1 else 'more than a server likes'}",
                hint=f"--jobs 1 reads with one, --jobs 2 with two; at most {MOST_JOBS}",
            )
        if not 0 <= self.wait_seconds <= _LONGEST_WAIT:
            raise UsageError(
                f"{self.wait_seconds:g} seconds is no time to wait for another run",
                hint="--wait takes 0 to a day of seconds (86400)",
            )

    @property
    def chosen(self) -> RealmFilter:
        """The tenants, as the source and the ledger are asked for them."""
        return RealmFilter.of(self.realms)


def exclude_expired(lake: Lake, window: Window, *, also_expired: bool) -> tuple[Window, list[str]]:
    """What of a window an extraction may write; only under the lock.

    Args:
        lake: Where.
        window: Whole UTC days.
        also_expired: Expired days of the window are wanted back: days from its first one on are expired no more.

    Returns:
        The window without its expired days, and what a person should know, in sentences.

    Raises:
        UsageError: All of its days are expired.
        LakeError: They are wanted back while a killed run has left some of them half dropped.
    """
    mark, said = read_expiry_mark(lake)
    if mark is None or window.since.date() >= mark.before:
        return window, said
    if also_expired:
        left = [day for day in lake.recorded_days(also_expired=True) if expiry_mark.is_expired(mark, day)]
        if left:
            raise LakeError(
                f"{len(left)} expired days, {left[0]} the first, were not removed to their end; nothing was written",
                hint=f"finish that first: strategy-analytics expire --before {mark.before} --yes",
            )
        first = mark.first if mark.first and mark.first < window.since.date() else None
        write_expiry_mark(lake, Expired(window.since.date(), first, now_in_seconds(), __version__))
        return window, [
            *said,
            f"expired are the days before {window.since:%Y-%m-%d} from now on, no longer those before {mark.before}",
        ]
    cut = min(window.until.date(), mark.before)
    told = f"the days from {window.since:%Y-%m-%d} to {cut - ONE_DAY} are expired (`strategy-analytics expire`) and were left alone"
    if window.until.date() <= mark.before:
        raise UsageError(f"{told}: nothing remains of the window", hint="--also-expired brings them back")
    rest = Window(datetime(mark.before.year, mark.before.month, mark.before.day, tzinfo=UTC), window.until)
    return rest, [*said, f"{told}; --also-expired brings them back"]


def read_expiry_mark(lake: Lake) -> tuple[Expired | None, list[str]]:
    """What was let go; written again where one of its two files was lost or is an older one."""
    mark, (first, copy) = expiry_mark.read(lake.root), expiry_mark.both(lake.root)
    if mark is None or first == copy:
        return mark, []
    write_expiry_mark(lake, mark)
    if first == mark:
        return mark, []  # of an older version, which wrote one file
    was = "was lost" if first is None else "was an older one"
    return mark, [
        f"{expiry_mark.NAME} {was}; by its copy the days before {mark.before} are expired, so it was written again"
    ]


def write_expiry_mark(lake: Lake, mark: Expired) -> None:
    """Write which days are expired, the file first: whoever is killed before the copy is written leaves the later one."""
    for path in (lake.root / expiry_mark.NAME, lake.root / "ledger" / expiry_mark.NAME):
        lake.write_text(path, json.dumps(mark.to_dict(), indent=1) + "\n")


def now_in_seconds() -> datetime:
    """In whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


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
