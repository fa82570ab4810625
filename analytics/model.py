"""The nouns of the package: frozen, small, without behaviour that touches a disk or a server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from analytics.errors import UsageError

ONE_DAY = timedelta(days=1)
_FIRST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One realm's rows of one UTC day: the unit of storage, replacement and completeness.

    Attributes:
        realm: The tenant as the engine wrote it; ``None`` where the log has NULL.
        day: UTC date of ``created_at``; ``None`` where that is NULL, infinite or outside the years 1 to 9999.
    """

    realm: str | None
    day: date | None

    def __str__(self) -> str:
        realm = "(no realm)" if self.realm is None else ascii(self.realm)[1:-1] or "(empty realm)"
        return f"{realm} · {self.day or 'no day'}"


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of UTC time, ``since <= t < until``."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise UsageError("a window needs times with a time zone", hint="use datetime(..., tzinfo=timezone.utc)")
        if self.since >= self.until:
            raise UsageError(
                f"the window is empty: since {self.since:%Y-%m-%d %H:%M} is not before until {self.until:%Y-%m-%d %H:%M}",
                hint="until is exclusive: for one day give --since 2026-07-08 --until 2026-07-09",
            )

    @classmethod
    def parse(
        cls, since: str | date | None, until: str | date | None, *, now: datetime | None = None, days: int = 3
    ) -> Window:
        """Read a window the way people write one.

        Args:
            since: ``2026-07-08``, ``2026-07-08 09:30``, ``today``, ``yesterday``, ``7d`` or ``12h`` (that long before
                the end of today or before now), a date or a datetime; ``None`` for the last ``days`` days.
            until: The same, exclusive; ``None`` for the end of today.
            now: The clock, for tests.
            days: How many days the default window has, today included.

        Raises:
            UsageError: A word is not understood or the window is empty.
        """
        clock = (now or datetime.now(UTC)).astimezone(UTC)
        end = _moment(until, clock) if until is not None else _midnight(clock) + ONE_DAY
        start = _moment(since, clock) if since is not None else end - min(days * ONE_DAY, end - _FIRST)
        return cls(start, end)

    @property
    def days(self) -> list[date]:
        """The UTC days the window touches, in order."""
        first, last = self.since.date(), (self.until - timedelta(microseconds=1)).date()
        return [first + i * ONE_DAY for i in range((last - first).days + 1)]

    def whole_days(self) -> Window:
        """The window itself if it consists of whole UTC days.

        Raises:
            UsageError: It starts or ends within a day.
        """
        if self.since != _midnight(self.since) or self.until != _midnight(self.until):
            raise UsageError(
                f"extraction works on whole UTC days, not {self}",
                hint="give dates: --since 2026-07-08 --until 2026-07-09",
            )
        return self

    def __str__(self) -> str:
        form = (
            "%Y-%m-%d"
            if self.since == _midnight(self.since) and self.until == _midnight(self.until)
            else "%Y-%m-%d %H:%M"
        )
        return f"{self.since:{form}} to {self.until:{form}}"


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _moment(word: str | date, clock: datetime) -> datetime:
    """One end of a window, as UTC time."""
    if isinstance(word, datetime):
        return word.astimezone(UTC) if word.tzinfo else word.replace(tzinfo=UTC)
    if isinstance(word, date):
        return datetime(word.year, word.month, word.day, tzinfo=UTC)
    text = word.strip().lower()
    if text == "now":
        return clock
    if text in ("today", "yesterday", "tomorrow"):
        return _midnight(clock) + {"today": 0, "yesterday": -1, "tomorrow": 1}[text] * ONE_DAY
    if match := re.fullmatch(r"(\d{1,4})\s*([dh])", text):
        span = int(match[1])
        return _midnight(clock) - span * ONE_DAY if match[2] == "d" else clock - timedelta(hours=span)
    try:
        return _moment(datetime.fromisoformat(word.strip()), clock)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{word!r} is no date",
            hint="write 2026-07-08, '2026-07-08 09:30' (UTC), today, yesterday, 7d or 12h",
        ) from None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the source says about one partition without reading a trace.

    Attributes:
        row_count: Rows.
        id_hash: Sum over rows of the first 60 bits of the id: order-free, and computable on both sides.
        change_hash: Sum over rows of a server-side hash that moves when a row is updated; compared only with itself.
        max_created_at: Newest row, UTC; ``None`` when there is none or it is not finite.
    """

    row_count: int
    id_hash: int
    change_hash: int
    max_created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """What the ledger remembers of one partition file.

    Attributes:
        partition: Which one.
        fingerprint: The source's, at the time of extraction.
        row_count: Rows in the file: those of the source plus ``kept_count``.
        kept_count: Rows that have since been deleted at the source and were kept.
        id_hash: Of the ids in the file.
        trace_entries: Trace entries in the file.
        irregular_count: Rows whose trace has another shape and is kept verbatim.
        status_counts: Rows per status.
        sample_rate: The rate the weights were made with; ``None`` in a partition without sampled rows is not special.
        file_bytes, node_days_bytes: Sizes of the two files, to notice one that was changed or lost; no rollup: 0.
        extracted_at: When it was written, UTC.
    """

    partition: Partition
    fingerprint: Fingerprint
    row_count: int
    kept_count: int
    id_hash: int
    trace_entries: int
    irregular_count: int
    status_counts: dict[str, int]
    sample_rate: float
    file_bytes: int
    node_days_bytes: int
    extracted_at: datetime


@dataclass(frozen=True, slots=True)
class Horizon:
    """Up to when rows can be taken as committed.

    Attributes:
        until: Rows created before this are expected to be visible, UTC.
        reason: What set it, in words: a lag, or the transaction that is still open.
        pid, role, age_seconds: Of the transaction that holds it back, where one does.
    """

    until: datetime
    reason: str
    pid: int | None = None
    role: str | None = None
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DayRecord:
    """One ledger file: what is known of one UTC day over all realms.

    Attributes:
        day: ``None`` for the partition of rows without a usable ``created_at``.
        partitions: One entry per realm that has rows.
        covers_all_realms: False when only chosen realms were ever extracted for this day.
        complete_until: Rows of the day created before this are all there; compare with the day's end.
        horizon_reason: What limited ``complete_until``.
        source: Identity of the server and table that was read.
        recorded_at: UTC.
    """

    day: date | None
    partitions: dict[str | None, PartitionInfo]
    covers_all_realms: bool
    complete_until: datetime | None
    horizon_reason: str
    source: dict[str, str]
    recorded_at: datetime

    @property
    def is_complete(self) -> bool:
        """Every row of the day that was created before the day's end is in the lake."""
        if self.day is None or self.complete_until is None:
            return False
        end = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC) + ONE_DAY
        return self.covers_all_realms and self.complete_until >= end


@dataclass(frozen=True, slots=True)
class ExtractResult:
    """What one extraction did.

    Attributes:
        window: The UTC days asked for.
        written: Partitions replaced, with their new ledger entries.
        unchanged: Partitions that already equalled the source.
        kept: Rows in the lake that the source no longer has, per partition; kept unless shrinking was allowed.
        dropped: Partitions that followed the source in losing rows.
        horizon: Up to when the source was complete.
        incomplete_days: Days of the window that are not complete yet.
        unread_columns: Columns of the source that the lake does not carry.
        sample_rate: The rate the weights were made with.
        sample_rate_is_default: Nobody configured it.
        definitions: Rows of ``strategydefinition`` read; ``None`` when the table could not be read.
        notes: Everything else a person should know, in sentences.
        seconds: Wall clock per step.
        removed: Partitions taken away because all their rows moved to another realm or day.
    """

    window: Window
    written: list[PartitionInfo]
    unchanged: int
    kept: dict[Partition, int]
    dropped: dict[Partition, int]
    horizon: Horizon
    incomplete_days: list[date]
    unread_columns: list[str]
    sample_rate: float
    sample_rate_is_default: bool
    definitions: int | None
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    removed: int = 0

    @property
    def row_count(self) -> int:
        """Rows written, in all partitions together."""
        return sum(info.row_count for info in self.written)

    @property
    def nothing_to_do(self) -> bool:
        """The lake already equalled the source."""
        return not self.written and not self.dropped and not self.removed

    def to_dict(self) -> dict[str, Any]:
        """The same facts as plain JSON values."""
        return {
            "since": self.window.since.date().isoformat(),
            "until": self.window.until.date().isoformat(),
            "nothing_to_do": self.nothing_to_do,
            "partitions_written": [
                {
                    "realm_id": info.partition.realm,
                    "day": info.partition.day.isoformat() if info.partition.day else None,
                    "logged_count": info.row_count,
                    "trace_entries": info.trace_entries,
                    "file_bytes": info.file_bytes,
                }
                for info in self.written
            ],
            "partitions_unchanged": self.unchanged,
            "rows_written": self.row_count,
            "rows_kept_though_gone": [
                {"realm_id": p.realm, "day": p.day.isoformat() if p.day else None, "rows": n}
                for p, n in self.kept.items()
            ],
            "rows_dropped_with_source": sum(self.dropped.values()),
            "complete_until": self.horizon.until.isoformat(),
            "held_back_by": self.horizon.reason,
            "incomplete_days": [day.isoformat() for day in self.incomplete_days],
            "unread_columns": self.unread_columns,
            "sample_rate": self.sample_rate,
            "sample_rate_is_default": self.sample_rate_is_default,
            "definitions": self.definitions,
            "notes": self.notes,
            "seconds": {step: round(value, 3) for step, value in self.seconds.items()},
        }
