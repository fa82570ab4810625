"""What the lake holds, day by day and of a window: complete, empty, partial, missing or stale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE
from analytics.lake import expiry_mark, ledger_columns, losses, repair
from analytics.lake.losses import Loss
from analytics.model import DayRecord, IgnoredTransaction, Partition
from analytics.storage.typed_json import Json
from analytics.warehouse.in_sight import LakeInSight
from analytics.window import ONE_DAY, Window

CALENDAR_DAYS = 31
"""That a terminal's calendar shows, the newest last."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One realm on one day.

    Attributes:
        realm, day: Which; ``day`` is ``None`` for rows without a usable ``created_at``.
        state: ``complete``; ``empty`` (complete, and nothing was logged); ``partial`` (rows may still arrive); ``missing``
            (never extracted); ``stale`` (the file is not the one the ledger describes: extract again); ``expired`` (dropped
            on purpose, see ``expire``).
        logged_count: Rows.
        complete_until: UTC.
        ignored_transactions: Spans of the day into which an old transaction that is still open may bring rows.
    """

    realm: str | None
    day: date | None
    state: str
    logged_count: int
    complete_until: datetime | None
    ignored_transactions: tuple[IgnoredTransaction, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """As plain JSON values."""
        return {
            "realm_id": self.realm,
            "day": self.day.isoformat() if self.day else None,
            "state": self.state,
            "logged_count": self.logged_count,
            "complete_until": self.complete_until.isoformat() if self.complete_until else None,
            "not_waited_for": [span.to_dict() for span in self.ignored_transactions],
        }


def calendar(lake: LakeInSight, besides: Iterable[date] = ()) -> list[Cell]:
    """Every realm on every day from the first to the last the ledger knows, and the undated rows where there are any.

    Of the expired days before them those of the last month are shown too: a calendar must not grow for ever.

    Args:
        lake: Where the files are.
        besides: More days to look at, missing ones perhaps.
    """
    records = lake.records()
    days = days_of(records)
    mark = expiry_mark.read(lake.lake.root)
    if days and mark and mark.first:
        first = max(mark.first, days[-1] - (CALENDAR_DAYS - 1) * ONE_DAY)
        days = [first + i * ONE_DAY for i in range((days[0] - first).days)] + days
    return cells(lake, lake.realms, [*sorted({*days, *besides}), None], records)


def days_of(records: Iterable[DayRecord]) -> list[date]:
    """Every day from the first to the last of the ledger."""
    known = [record.day for record in records if record.day]
    return [min(known) + i * ONE_DAY for i in range((max(known) - min(known)).days + 1)] if known else []


def cells(
    lake: LakeInSight, realms: Iterable[str | None], days: Iterable[date | None], records: Iterable[DayRecord]
) -> list[Cell]:
    """These realms on these days; of ``None``, which stands for rows without a day, only where there are any.

    Args:
        lake: Where the files are.
        realms: Which tenants.
        days: Which days.
        records: The ledger.
    """
    by_day = {record.day: record for record in records}
    wanted = list(days)
    lost = {loss.partition for loss in lake.lost(wanted)}
    mark = expiry_mark.read(lake.lake.root)
    columns = [_Day.of(day, by_day.get(day), expired=expiry_mark.is_expired(mark, day)) for day in wanted]
    return [
        day.cell(realm, is_lost=bool(lost) and Partition(realm, day.day) in lost)
        for realm in realms
        for day in columns
        if day.day is not None or realm in day.rows
    ]


@dataclass(frozen=True, slots=True)
class _Day:
    """What the cells of a day have in common.

    Attributes:
        day: Which.
        rows: Of each partition that the ledger tells of.
        with_rows, without: The state of the others' cells, of tenants with a partition and of those without.
        may_be_lost: A partition whose file is lost is ``stale``.
        complete_until, spans: See ``Cell``.
    """

    day: date | None
    rows: Mapping[str | None, int]
    with_rows: str
    without: str
    may_be_lost: bool
    complete_until: datetime | None
    spans: tuple[IgnoredTransaction, ...]

    @classmethod
    def of(cls, day: date | None, record: DayRecord | None, *, expired: bool) -> _Day:
        """By what the ledger tells of it."""
        if record is None:
            state = "expired" if expired else "missing"
            return cls(day, {}, state, state, False, None, ())
        spans = tuple(span for span in record.ignored_transactions if span.settled_at is None)
        rows, until = ledger_columns.row_counts(record), record.complete_until
        if expired:
            return cls(day, rows, "expired", "expired", False, until, spans)
        is_partial = day is not None and not record.is_complete
        with_rows, empty = ("partial", "partial") if is_partial else ("complete", "empty")
        return cls(day, rows, with_rows, empty if record.covers_all_realms else "missing", True, until, spans)

    def cell(self, realm: str | None, *, is_lost: bool) -> Cell:
        """Of a tenant."""
        rows = self.rows.get(realm)
        state = self.without if rows is None else "stale" if is_lost and self.may_be_lost else self.with_rows
        return Cell(realm, self.day, state, rows or 0, self.complete_until, self.spans)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a window the lake holds.

    Attributes:
        missing: Days that the lake does not hold whole for the realms in sight: never extracted, expired, or lost.
        expired: Of these, the ones that were dropped on purpose.
        lost: Of these, the ones with partitions that the ledger tells of and whose files are gone or other ones.
        partial: Days extracted while rows could still arrive.
        complete_until: Up to when the partial days are complete, UTC.
        sample_rates: Rates the window's weights were made with, smallest first.
        losses: What is lost of the days.
        to_come: Of the missing days, the ones that have not begun yet.
        is_ahead: Nothing of the window has begun.
    """

    missing: list[date]
    expired: list[date]
    lost: list[date]
    partial: list[date]
    complete_until: datetime | None
    sample_rates: list[float]

    losses: tuple[Loss, ...] = ()
    to_come: list[date] = field(default_factory=list)
    is_ahead: bool = False

    @property
    def never(self) -> list[date]:
        """Missing days that have begun and were never extracted, or are expired."""
        return [day for day in self.obtainable if day not in self.lost]

    @property
    def obtainable(self) -> list[date]:
        """Missing days that an extraction can bring, as far as the source has them."""
        return [day for day in self.missing if day not in self.to_come]

    @property
    def of_them_expired(self) -> str:
        """What to add where those are counted; empty where none is expired."""
        return f" ({len(self.expired)} of them expired)" if self.expired else ""

    @property
    def smallest_rate(self) -> float:
        """For bounds where nothing was drawn; the engine's default when nothing was extracted."""
        return min(self.sample_rates, default=DEFAULT_SAMPLE_RATE)


def coverage(lake: LakeInSight, window: Window, now: datetime | None = None) -> Coverage:
    """What the ledger says of a window.

    Args:
        lake: Where the files are.
        window: Which.
        now: The clock; this machine's when not given.
    """
    records = {record.day: record for record in lake.records()}
    missing, partial, complete = [], [], None
    rates: set[float] = set()
    realms = set(lake.realms)
    gone = lake.lost(window.days)
    lost = set(losses.days_of(gone))
    for day in window.days:
        record = records.get(day)
        if record is None or not (record.covers_all_realms or realms <= set(record.partitions)):
            missing.append(day)
            continue
        rates |= {s.rate for realm, info in record.partitions.items() if realm in realms for s in info.sample_rates}
        if day in lost:
            missing.append(day)
            continue
        if not record.is_complete and not (record.complete_until and record.complete_until >= window.until):
            partial.append(day)
            ends = [moment for moment in (complete, record.complete_until) if moment is not None]
            complete = min(ends, default=None)
    if not rates:  # nothing of these days: what the rest of the lake was made with
        everything = [info for record in records.values() for info in record.partitions.values()]
        rates = {step.rate for info in everything for step in info.sample_rates}
    mark = expiry_mark.read(lake.lake.root)
    dropped = [day for day in missing if expiry_mark.is_expired(mark, day)]
    ahead = repair.to_come(missing, now)
    return Coverage(
        missing,
        dropped,
        sorted(lost),
        partial,
        complete,
        sorted(rates),
        tuple(gone),
        to_come=ahead,
        is_ahead=bool(ahead) and len(repair.to_come(window.days, now)) == len(window.days),
    )
