"""Would an unattended extraction work here, and what would make it better? Nothing is changed, at the source or in the lake."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from analytics.config import Settings
from analytics.errors import LakeError, LakeFormatError, LakeLockedError, SourceError
from analytics.estimates.sampling_rates import Rates
from analytics.lake import losses
from analytics.lake.lake import Lake
from analytics.operations.doctor import Check, advice, ok, problem, volume
from analytics.operations.doctor.server import LARGE_TABLE, check_server
from analytics.operations.doctor.volume import check_growth, check_weights, query_if_cheap
from analytics.source.source import Source
from analytics.storage import disk
from analytics.storage.lock import NAME as LOCK
from analytics.warehouse import checks
from analytics.window import ONE_DAY

OLDEST_LOG = date(2000, 1, 1)
"""Rows before are of a host whose clock was not set: they say nothing of how long rows are kept."""


def check_retention(lake: Lake, kept_for: timedelta) -> Iterator[Check]:
    """Of a source that is known to delete rows: are the days that it deletes next in the lake?

    Args:
        lake: Its ledger is read.
        kept_for: How long the source keeps a row.
    """
    if found := volume.retention_warning(lake, kept_for):
        yield problem("retention", found.sentence, found.command)
    else:
        yield ok(
            "retention",
            f"of the days that the source deletes next (after {kept_for.days} days) all are complete in the lake",
        )


def infer_retention(source: Source, lake: Lake, *, small: int) -> Iterator[Check]:
    """Of a source of which nobody has said whether it deletes rows: does it look so, and what does it lose next?

    Args:
        source: Entered.
        lake: Its ledger is read: rows that the source has lost since show that it deletes.
        small: Bytes below which the table may be read whole.
    """
    held = _held(lake)
    lost = [day for day, at_source in held.items() if not at_source]
    since = max(
        [OLDEST_LOG, *(day + ONE_DAY for day in lost)]
    )  # a row with an odd time may be older than what was deleted
    oldest = _oldest_day(source, since, small)
    if oldest is None:
        return
    gone = [day for day in held if day < oldest]
    if not gone:
        yield ok(
            "retention", "nothing shows that the source deletes old rows; if it does: ANALYTICS_SOURCE_RETENTION=30d"
        )
        return
    [clock] = source.ask("clock")
    kept_for = max(clock["server_time"].date() - oldest, ONE_DAY)
    last = min(oldest + volume.warning_margin(kept_for) - ONE_DAY, clock["server_time"].date() - ONE_DAY)
    said = f"the source deletes old rows: its oldest are of {oldest}, and the lake holds {len(gone)} days before that"
    setting = f"ANALYTICS_SOURCE_RETENTION={kept_for.days}d has every extraction warn"
    if days := tuple(volume.incomplete(lake, oldest, last)):
        yield advice(
            "retention",
            f"{said}; not complete in the lake, and next to go: {volume.format_days(days)}",
            f"{volume.command(days)}; {setting}",
        )
    else:
        yield ok("retention", f"{said}; the days that go next are complete in the lake")


def _held(lake: Lake) -> dict[date, int]:
    """Days of which the lake has rows, with how many of them the source had when they were extracted last."""
    found: dict[date, int] = {}
    for day in lake.recorded_days():
        record = lake.recorded(day) if day and day >= OLDEST_LOG else None
        if day and record and sum(info.row_count for info in record.partitions.values()):
            found[day] = sum(info.fingerprint.row_count for info in record.partitions.values())
    return found


def _oldest_day(source: Source, since: date, small: int) -> date | None:
    """The day of the source's oldest row since a day; by the planner's statistics where asking would read a large table whole."""
    layout = source.layout()
    begin = datetime(since.year, since.month, since.day, tzinfo=UTC)
    found = query_if_cheap(source, layout, "oldest", {"since": begin}, small)
    [row] = source.ask("oldest_statistics", {"since": begin}) if found is None else found
    return row["oldest"].date() if row["oldest"] else None


LITTLE_SPACE = 2 << 30
NO_SPACE = 128 << 20

_MEMORY = ("tmpfs", "ramfs")
_LAYERS = ("overlay", "aufs")
_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "ceph",
    "glusterfs",
    "lustre",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
)


def check_all(settings: Settings) -> Iterator[Check]:
    """Look at the source and at the lake; a lake of a newer version is a problem, and the end.

    Args:
        settings: Which source, which lake, how patient.

    Yields:
        Findings as they are made, the source's first.
    """
    try:
        yield from _check(settings, Lake(settings.lake))
    except LakeFormatError as error:
        yield problem("lake", error.message, error.hint)


def _check(settings: Settings, lake: Lake) -> Iterator[Check]:
    try:
        with Source(settings.database_url, patience=settings.patience) as source:
            yield from check_server(source, lake)
            if settings.source_retention is None:
                yield from infer_retention(source, lake, small=LARGE_TABLE)
    except SourceError as error:
        yield problem("source", error.message, error.hint)
    if settings.source_retention is not None:
        yield from check_retention(lake, settings.source_retention)
    yield from _rates(settings.rates)
    yield from check_weights(lake, settings.rates)
    yield from check_lake(lake)


def _rates(rates: Rates) -> Iterator[Check]:
    repair = "set ANALYTICS_SAMPLE_RATE to the engine's DSL_EXECUTION_LOG_SAMPLE_RATE"
    if not rates.may_default:
        said = "the file of rates (ANALYTICS_SAMPLE_RATES) says" if rates.entries else "ANALYTICS_SAMPLE_RATE says"
        yield ok("sampling rate", f"{said} that the engine logs this fraction of the ok runs: {rates}")
    elif rates.entries:
        yield advice("sampling rate", f"for some times or tenants nobody has said a rate: {rates}", repair)
    else:
        yield advice(
            "sampling rate",
            f"nobody has said how many ok runs the engine logs; {rates.otherwise:g} is its default",
            repair,
        )


def check_lake(lake: Lake) -> Iterator[Check]:
    """Look at the lake's folder, its disk, its lock and its ledger."""
    root = lake.storage.local_root
    if root is None:
        yield from _bucket(lake)
        return
    folder = _nearest(root)
    yield from _writable(lake, folder)
    yield from _space(lake, folder)
    yield from _durable(folder)
    if root.is_dir():
        yield from _lock(lake)
        yield from _ledger(lake)


def _bucket(lake: Lake) -> Iterator[Check]:
    """Listing, writing, conditions and removing are tried by taking the lock and letting go."""
    try:
        is_there = lake.root.is_dir()
        with lake.lock():
            pass
        yield ok(
            "lake", f"the lake {lake.root} {'can be written' if is_there else 'will be made by the first extraction'}"
        )
        yield ok("lock", "nobody is writing the lake")
    except LakeLockedError as error:
        yield ok("lake", f"the lake {lake.root} can be read")
        yield ok("lock", error.message)
    except LakeError as error:
        yield problem("lake", error.message, error.hint)
        return
    if is_there:
        yield from _ledger(lake)


def _nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _writable(lake: Lake, folder: Path) -> Iterator[Check]:
    if not folder.is_dir():
        yield problem("lake", f"{folder} is no folder", "choose another one with --lake or ANALYTICS_LAKE")
        return
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
            probe.write(b"synced")
            probe.flush()
            os.fsync(probe.fileno())
            disk.sync(folder)
    except OSError as error:
        why, hint = disk.why(error)
        yield problem("lake", f"the lake {lake.root} cannot be written: {why}", hint)
        return
    made = "can be written" if lake.root.is_dir() else "will be made by the first extraction"
    yield ok("lake", f"the lake {lake.root} {made}")


def _space(lake: Lake, folder: Path) -> Iterator[Check]:
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        said = f"{free / (1 << 30):,.1f} GB are free"
        if free < NO_SPACE:
            yield problem("space", said, f"free some space: df -h {folder}")
        elif free < LITTLE_SPACE:
            yield advice("space", said, f"a run that fills the disk stops cleanly, but stops: df -h {folder}")
        else:
            yield ok("space", said)
        yield from check_growth(lake, free)


def _durable(folder: Path) -> Iterator[Check]:
    kind = file_system(folder)
    if kind in _MEMORY:
        yield advice("disk", f"{folder} is kept in memory ({kind}): it is gone with the next boot", "choose a disk")
    elif kind in _LAYERS:
        yield advice("disk", f"{folder} is a container's own layer ({kind}): it goes with it", "mount a volume there")
    elif kind in _NETWORK:
        yield advice(
            "disk",
            f"{folder} is on a network ({kind}): locks and renames are only as good as its server",
            "let one machine write it; a local disk is safer and faster",
        )
    elif kind:
        yield ok("disk", f"{folder} is on a local disk ({kind})")


def file_system(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system a folder is on; empty where that cannot be known."""
    best = ("", "")
    try:
        where = str(folder.resolve())
        for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
            _, point, kind, *_ = line.split()
            point = point.replace("\\040", " ")
            if (where == point or where.startswith(point.rstrip("/") + "/")) and len(point) >= len(best[0]):
                best = (point, kind)
    except (OSError, ValueError):
        return ""
    return best[1]


def _lock(lake: Lake) -> Iterator[Check]:
    if not (lake.root / LOCK).exists():
        yield ok("lock", "nobody is writing the lake")
        return
    try:
        with lake.lock():
            pass
        yield ok("lock", "nobody is writing the lake")
    except LakeLockedError as error:
        if "--break-lock" in error.hint:
            yield problem("lock", error.message, error.hint)
        else:
            yield ok("lock", error.message)
    except LakeError as error:
        if getattr(error, "errno", None) not in (errno.EACCES, errno.EPERM, errno.EROFS):  # told above
            yield problem("lock", error.message, error.hint)


def _ledger(lake: Lake) -> Iterator[Check]:
    records = [record for day in lake.recorded_days() if (record := lake.recorded(day))]
    if lost := losses.of_days(lake, records, None):
        yield problem("partitions", losses.words(lost), losses.repair(lost))
    for found in checks.problems(lake):
        yield problem("files", found.says, found.repair)
    broken = lake.ledger_problems()
    if broken:
        name, why = next(iter(broken.items()))
        yield advice(
            "ledger",
            f"{len(broken)} files of the ledger cannot be read, {name} the first ({why})",
            "extract those days again: a day without a readable entry is read anew",
        )
        return
    waiting = [
        day
        for day in lake.recorded_days()
        if (record := lake.recorded(day)) and any(span.settled_at is None for span in record.ignored_transactions)
    ]
    if waiting:
        yield advice(
            "ledger",
            f"{len(waiting)} days have spans that an old transaction may still bring rows into, from {waiting[0]} on",
            f"when it has ended: strategy-analytics extract --since {waiting[0]}",
        )
    else:
        yield ok("ledger", f"{len(lake.recorded_days()):,} days are recorded")
