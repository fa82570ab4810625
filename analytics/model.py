"""The nouns of the package: frozen, small, without behaviour that touches a disk or a server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache

from analytics.estimates.sampling_rates import RateStep
from analytics.sql import Row
from analytics.storage.typed_json import Json
from analytics.window import ONE_DAY, Window

_TRANSACTION_IDS = re.compile(r"(\d*)/(\d*)/(\d+)/(\d*)/([0-9a-f]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction of the source that may still commit rows.

    Attributes:
        role: Of its session or owner.
        began: UTC; of a prepared one when it was prepared, because the server keeps nothing older.
        pid: Of its session; ``None`` when prepared.
        gid: Its name when prepared.
    """

    role: str
    began: datetime
    pid: int | None = None
    gid: str | None = None

    def __str__(self) -> str:
        if self.gid is not None:
            return f"a prepared transaction {self.gid!a} of role {self.role}"
        return f"a transaction of role {self.role} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class IgnoredTransaction:
    """A span that counts as complete although an old transaction, still open, may bring rows into it.

    Attributes:
        since, until: Of ``created_at``, UTC.
        transaction: The one that was not waited for.
        recorded_at: When that was decided, UTC.
        settled_at: When a later run saw that it had ended and compared the day again, UTC; ``None`` before.
    """

    since: datetime
    until: datetime
    transaction: OpenTransaction
    recorded_at: datetime
    settled_at: datetime | None = None

    @property
    def age_seconds(self) -> float:
        """The transaction's age when it was not waited for."""
        return (self.recorded_at - self.transaction.began).total_seconds()

    def to_dict(self) -> dict[str, Json]:
        """The same facts as plain JSON values."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "pid": self.transaction.pid,
            "gid": self.transaction.gid,
            "role": self.transaction.role,
            "began": self.transaction.began.isoformat(),
            "age_seconds": round(self.age_seconds),
            "recorded_at": self.recorded_at.isoformat(),
            "settled_at": self.settled_at.isoformat() if self.settled_at else None,
        }


@dataclass(frozen=True, slots=True)
class Watermark:
    """Up to when rows can be taken as committed.

    Attributes:
        until: Rows created before this are expected to be visible, UTC.
        reason: What set it, in words: a lag, or the transaction that is still open.
        pid, gid, role, age_seconds: Of the transaction that holds it back, where one does.
        ignored_transactions: Older transactions that were left out of account, and the spans they may still touch.
        open: Every open transaction that was seen.
        sees_all: Nothing that could write was hidden.
        seen_at: When the transactions were looked at, UTC.
        is_standby: Writers are elsewhere, as far as the server tells.
        not_told: What the server refuses to tell, in words.
    """

    until: datetime
    reason: str
    pid: int | None = None
    role: str | None = None
    age_seconds: float | None = None
    gid: str | None = None
    ignored_transactions: tuple[IgnoredTransaction, ...] = ()
    open: tuple[OpenTransaction, ...] = ()
    sees_all: bool = True
    seen_at: datetime | None = None
    is_standby: bool = False
    not_told: tuple[str, ...] = ()


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
class RealmFilter:
    """Which tenants to read; the NULL realm cannot be named in a list, so it has a flag of its own."""

    realms: tuple[str, ...] = ()
    null_realm: bool = False

    @property
    def all_realms(self) -> bool:
        """No realm was named."""
        return not self.realms and not self.null_realm

    def holds(self, realm: str | None) -> bool:
        """The filter lets this tenant through."""
        return self.all_realms or (self.null_realm if realm is None else realm in self.realms)

    @classmethod
    def of(cls, realms: Sequence[str | None]) -> RealmFilter:
        """A filter for exactly these realms; an empty sequence means all."""
        return cls(tuple(r for r in realms if r is not None), None in realms)

    def parameters(self) -> Row:
        """As parameters of the statements in ``sql/source``."""
        return {"all_realms": self.all_realms, "realms": list(self.realms), "null_realm": self.null_realm}


@dataclass(frozen=True, slots=True)
class Span:
    """Rows to read in one statement.

    Attributes:
        first, last: UTC days, both inclusive; ``None`` when only undated rows are wanted.
        realms: Which tenants.
        undated: Also rows that belong to no day.
    """

    first: date | None
    last: date | None
    realms: RealmFilter
    undated: bool = False


@dataclass(frozen=True, slots=True)
class TransactionIds:
    """What the transaction ids of a fingerprint were counted by.

    Attributes:
        server: The system identifier; ``None`` where it is not told.
        timeline: Of the server's write-ahead log; ``None`` where it is not told.
        era: How often the lake has seen the counter go back.
        reached: The next id, in 64 bits; ``None`` where it is not told.
        columns: Which columns of the table the rows' values are of, as a hash; empty where it is not told.
    """

    server: str | None = None
    timeline: int | None = None
    era: int = 0
    reached: int | None = None
    columns: str = ""

    def __str__(self) -> str:
        def said(value: object) -> str:
            return "" if value is None else str(value)

        return f"{said(self.server)}/{said(self.timeline)}/{self.era}/{said(self.reached)}/{self.columns}"

    def following(self, known: Iterable[TransactionIds | None], *, is_standby: bool) -> TransactionIds:
        """The same in the era it belongs to.

        Args:
            known: What the lake remembers.
            is_standby: One may lag behind what was read from the primary, so that it says less is no sign.
        """
        here = [k for k in known if k and (k.server, k.timeline) == (self.server, self.timeline)]
        era = max((k.era for k in here), default=0)
        before = max((k.reached or 0 for k in here if k.era == era), default=0)
        went_back = not is_standby and self.reached is not None and self.reached < before
        return replace(self, era=era + went_back)

    @staticmethod
    def parse(text: str) -> TransactionIds:
        """What ``str`` made of it.

        Raises:
            ValueError: It is damaged.
        """
        return _transaction_ids(text)


@lru_cache(maxsize=1024)
def _transaction_ids(text: str) -> TransactionIds:
    found = _TRANSACTION_IDS.fullmatch(text)
    if not found:
        raise ValueError("no transaction ids")
    server, timeline, era, reached, columns = found.groups()
    return TransactionIds(
        server or None, int(timeline) if timeline else None, int(era), int(reached) if reached else None, columns
    )


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the source says about one partition without reading a trace.

    Attributes:
        row_count: Rows.
        id_hash: Sum over rows of the first 60 bits of the id: order-free, and computable on both sides.
        change_hash: Sum over rows of a server-side hash that moves when a row is updated; compared only with itself.
        max_created_at: Newest row, UTC; ``None`` when there is none or it is not finite.
        ids: What the transaction ids in ``change_hash`` were counted by; ``None`` where there are none, or an older version of this
            package has not written it down. No part of a comparison: see ``transaction_ids.may_repeat``.
    """

    row_count: int
    id_hash: int
    change_hash: int
    max_created_at: datetime | None = None
    ids: TransactionIds | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """What the ledger remembers of one partition file.

    Attributes:
        partition: Which one.
        fingerprint: The source's, at the time of extraction.
        row_count: Rows in the file: those of the source plus ``kept_count`` less ``erased_count``.
        kept_count: Rows that have since been deleted at the source and were kept.
        id_hash: Of the ids in the file.
        trace_entries: Trace entries in the file.
        irregular_count: Rows whose trace has another shape and is kept verbatim.
        status_counts: Rows per status.
        sample_rates: The rates the weights were made with, in order of time; more than one where it changed within the day.
        file_bytes, node_days_bytes: Sizes of the two files, to notice one that was changed or lost; no rollup: 0.
        extracted_at: When it was written, UTC.
        erased_count: Rows left out of those of the source and those kept: of erased people, and those that were found in
            another partition since.
        privacy_version: What was done to ids and payload values on their way in, empty for nothing.
    """

    partition: Partition
    fingerprint: Fingerprint
    row_count: int
    kept_count: int
    id_hash: int
    trace_entries: int
    irregular_count: int
    status_counts: dict[str, int]
    sample_rates: tuple[RateStep, ...]
    file_bytes: int
    node_days_bytes: int
    extracted_at: datetime
    erased_count: int = 0
    privacy_version: str = ""


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
        ignored_transactions: Spans of the day that an old transaction may still bring rows into, or might have.
    """

    day: date | None
    partitions: Mapping[str | None, PartitionInfo]
    covers_all_realms: bool
    complete_until: datetime | None
    horizon_reason: str
    source: dict[str, str]
    recorded_at: datetime
    ignored_transactions: tuple[IgnoredTransaction, ...] = ()

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
        sample_rates: The rates of the partitions that were looked at, smallest first; without any, the one that was said.
        sample_rate_is_default: For one of them at least, nobody has said a rate: the engine's default stood in.
        defaulted: Those partitions.
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
    horizon: Watermark
    incomplete_days: list[date]
    unread_columns: list[str]
    sample_rates: list[float]
    sample_rate_is_default: bool
    defaulted: list[Partition]
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

    def to_dict(self) -> dict[str, Json]:
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
            "partitions_removed": self.removed,
            "complete_until": self.horizon.until.isoformat(),
            "held_back_by": self.horizon.reason,
            "not_waited_for": [span.to_dict() for span in self.horizon.ignored_transactions],
            "incomplete_days": [day.isoformat() for day in self.incomplete_days],
            "unread_columns": [*self.unread_columns],
            "sample_rates": [*self.sample_rates],
            "sample_rate_is_default": self.sample_rate_is_default,
            "partitions_at_default_rate": len(self.defaulted),
            "definitions": self.definitions,
            "notes": [*self.notes],
            "seconds": {step: round(value, 3) for step, value in self.seconds.items()},
        }
