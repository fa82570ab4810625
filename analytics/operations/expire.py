"""Let whole UTC days of the lake go: what is old enough, whether it is safe to drop, and the dropping itself.

First the day before which all is expired is written, durably (``expired.json``): from then on readers do not look at those
days and extraction does not bring them back. Then a day's files go, derived ones first, its ledger file last. A run that was
killed anywhere in between is finished by the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from analytics.errors import LakeError
from analytics.extraction import day_files, plan
from analytics.lake import expiry_mark, foreign_files, ledger_columns
from analytics.lake.expiry_mark import Expired
from analytics.lake.lake import Lake, day_of
from analytics.model import DayRecord
from analytics.storage import LakePath
from analytics.storage.typed_json import Json
from analytics.version import __version__
from analytics.window import ONE_DAY

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class ExpiringDay:
    """A day that is old enough to go.

    Attributes:
        day: Which.
        realms: Tenants that have rows.
        rows: Logged runs, by the ledger.
        kept: Of these, rows that the source had lost already when the day was extracted last: nobody else holds them.
        bytes_on_disk: Of all its files.
        doubts: Why it does not count as verified against the source, in words; empty when it does.
        is_leftover: An earlier run has let it go and was killed before all of its files were.
        files: In the order they go, the ledger's file last.
    """

    day: date
    realms: int
    rows: int
    kept: int
    bytes_on_disk: int
    doubts: tuple[str, ...]
    is_leftover: bool
    files: tuple[LakePath, ...]

    def to_dict(self) -> dict[str, Json]:
        """The same facts as plain JSON values."""
        return {
            "day": self.day.isoformat(),
            "realms": self.realms,
            "logged_count": self.rows,
            "kept_count": self.kept,
            "bytes": self.bytes_on_disk,
            "is_verified": not self.doubts,
            "doubts": list(self.doubts),
            "is_leftover": self.is_leftover,
        }


@dataclass(frozen=True, slots=True)
class Expiry:
    """What goes, or went.

    Attributes:
        before: Days before this one.
        days: Those the lake holds anything of, oldest first.
        undated_rows: Rows without a usable ``created_at``: they have no age, and stay.
        removed: It was done, not only looked at.
        notes: What else a person should know, in sentences.
    """

    before: date
    days: tuple[ExpiringDay, ...]
    undated_rows: int
    removed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def doubtful(self) -> list[ExpiringDay]:
        """Days that are not verified against the source."""
        return [going for going in self.days if going.doubts]

    def to_dict(self) -> dict[str, Json]:
        """The same facts as plain JSON values."""
        return {
            "before": self.before.isoformat(),
            "removed": self.removed,
            "days": [going.to_dict() for going in self.days],
            "logged_count": sum(going.rows for going in self.days),
            "bytes": sum(going.bytes_on_disk for going in self.days),
            "undated_count": self.undated_rows,
            "notes": list(self.notes),
        }


def plan_expiry(lake: Lake, before: date) -> Expiry:
    """What would go. Nothing is changed.

    Args:
        lake: Its ledger and the sizes of its files are read.
        before: The first day that stays; where more has been let go already, that counts.

    Raises:
        LakeError: There is no lake, or the disk refused.
    """
    lake.ensure_there()
    mark = expiry_mark.read(lake.root)
    before = max(before, mark.before) if mark else before
    recorded = [day for day in lake.recorded_days(also_expired=True) if day is not None and day < before]
    here = foreign_files.list_files(lake)
    files: dict[date, list[LakePath]] = {day: [] for day in recorded}
    for file in day_files.everywhere(lake):
        if file.day < before:
            files.setdefault(file.day, []).append(file.path)
    for table in ("node_days", "executions"):  # a rollup without its rows would be taken for a stranger
        for name in here.places:
            path = lake.place(name)
            if (
                foreign_files.inside(lake, path).parts[0] == table
                and (day := day_of(path.parent.name))
                and day < before
            ):
                files.setdefault(day, []).append(path)
    undated = lake.recorded(None)
    return Expiry(
        before,
        tuple(_going(lake, day, tuple(files[day]), here.places, mark) for day in sorted(files)),
        sum(info.row_count for info in undated.partitions.values()) if undated else 0,
    )


def _going(
    lake: Lake, day: date, files: tuple[LakePath, ...], sizes: Mapping[str, int], mark: Expired | None
) -> ExpiringDay:
    record = lake.recorded(day)
    infos = list(record.partitions.values()) if record else []
    is_leftover = expiry_mark.is_expired(mark, day)
    ledger_path = lake.ledger_path(day)
    columns = ledger_columns.path_beside(ledger_path)
    every = (*files, *([columns] if columns.is_file() else []), ledger_path)
    return ExpiringDay(
        day=day,
        realms=len(infos),
        rows=sum(info.row_count for info in infos),
        kept=sum(info.kept_count for info in infos),
        bytes_on_disk=sum(path.stat().st_size for path in every if path.is_file()),
        doubts=() if is_leftover else tuple(_doubts(lake, record, files, sizes)),
        is_leftover=is_leftover,
        files=every,
    )


def _doubts(lake: Lake, record: DayRecord | None, files: Sequence[LakePath], sizes: Mapping[str, int]) -> Iterator[str]:
    if record is None:
        yield "its ledger file is missing or damaged"
        return
    if not record.is_complete:
        until = f"{record.complete_until:%Y-%m-%d %H:%M} UTC" if record.complete_until else "no time"
        yield f"complete until {until} only" if record.covers_all_realms else "not every realm was extracted"
    if any(span.settled_at is None for span in record.ignored_transactions):
        yield "an old transaction may still bring rows into it"
    other = [info.partition for info in record.partitions.values() if not lake.holds(info, sizes)]
    if other:
        yield f"{len(other)} of {len(record.partitions)} partitions are not as the ledger says, {other[0]} the first"
    told = {
        lake.name(table, info.partition) for info in record.partitions.values() for table in foreign_files.DAY_TABLES
    }
    unknown = [path for path in files if str(path) in sizes and str(path) not in told]
    if unknown:
        yield f"{len(unknown)} files are not in the ledger, {foreign_files.inside(lake, unknown[0])} the first"


def expire(lake: Lake, before: date, *, unverified: bool = False, wait_seconds: float = 0) -> Expiry:
    """Drop every day before one. Killed at any point, the next call finishes.

    Args:
        lake: Where; one that is there.
        before: The first day that stays.
        unverified: Also days that are not verified against the source.
        wait_seconds: How long to wait for another run to release the lake.

    Raises:
        LakeError: A day is not verified; nothing was removed. Or the disk refused.
        LakeLockedError: Another run is writing this lake, or took over while this one slept.
    """
    with lake.lock(wait_seconds), lake.workspace():
        found = plan_expiry(lake, before)
        if found.doubtful and not unverified:
            raise reason_to_refuse(found)
        mark, said = plan.read_expiry_mark(lake)
        firsts = [going.day for going in found.days[:1]] + ([mark.first] if mark and mark.first else [])
        if mark is None or found.before > mark.before:
            plan.write_expiry_mark(
                lake, Expired(found.before, min(firsts, default=None), plan.now_in_seconds(), __version__)
            )
        here = foreign_files.list_files(lake, [going.day for going in found.days])
        notes = foreign_files.quarantine(lake, {going.day: lake.recorded(going.day) for going in found.days}, here)
        for going in found.days:
            for path in going.files:
                lake.remove(path)
    return Expiry(found.before, found.days, found.undated_rows, True, (*said, *notes))


def reason_to_refuse(found: Expiry) -> LakeError:
    """Why days do not go unasked."""
    doubtful = found.doubtful
    said = "; ".join(f"{going.day}: {', '.join(going.doubts)}" for going in doubtful[:_MOST_NAMED])
    more = f"; and {len(doubtful) - _MOST_NAMED} more" if len(doubtful) > _MOST_NAMED else ""
    last = doubtful[-1].day + ONE_DAY
    return LakeError(
        f"{len(doubtful)} of {len(found.days)} days are not verified against the source; nothing was removed ({said}{more})",
        hint=f"verify them: strategy-analytics extract --since {doubtful[0].day} --until {last}; or drop them as they are: "
        "--unverified",
        days=[going.day for going in doubtful],
    )
