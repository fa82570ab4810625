"""How much is logged and kept per day and for how long, and do the weights in the lake agree with what is said of the rate?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from analytics.errors import SourceError
from analytics.estimates.sampling_rates import Rates, described
from analytics.lake import expiry_mark
from analytics.lake.lake import Lake
from analytics.lake.repair import extraction
from analytics.model import DayRecord, RealmFilter
from analytics.operations.doctor import Check, advice, ok
from analytics.source.source import Source
from analytics.source.table_check import plan_nodes, scans_whole_table
from analytics.sql import Parameters, Row
from analytics.storage.typed_json import Json
from analytics.window import ONE_DAY

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class RetentionWarning:
    """Days that the source deletes soon and that are not complete in the lake.

    Attributes:
        days: Which, oldest first; at least one.
        retention: How long the source keeps a row.
    """

    days: tuple[date, ...]
    retention: timedelta

    @property
    def deletes_from(self) -> datetime:
        """When the first row of the first day goes, UTC; it may be over."""
        return datetime.combine(self.days[0], time(), UTC) + self.retention

    @property
    def sentence(self) -> str:
        """What is about to be lost."""
        one = len(self.days) == 1
        return (
            f"the source deletes rows older than {self.retention.days} days: {format_days(self.days)} {'is' if one else 'are'} not "
            f"complete in the lake, and {'its' if one else 'their'} rows go from {self.deletes_from:%Y-%m-%d %H:%M} UTC on"
        )

    @property
    def command(self) -> str:
        """What saves them."""
        return command(self.days)

    def to_dict(self) -> dict[str, Json]:
        """The same facts as plain JSON values."""
        return {
            "days": [day.isoformat() for day in self.days],
            "retention_days": self.retention.days,
            "deletes_from": self.deletes_from.isoformat(),
            "command": self.command,
        }


def warning_margin(retention: timedelta) -> timedelta:
    """How long before its deletion a day is worth an alarm: a tenth of the retention, between one day and three."""
    return min(max(retention / 10, ONE_DAY), 3 * ONE_DAY)


def retention_warning(lake: Lake, retention: timedelta | None, now: datetime | None = None) -> RetentionWarning | None:
    """Days that the source deletes soon and that are not complete in the lake; ``None`` when all is well.

    Args:
        lake: Its ledger is read, of a few days.
        retention: How long the source keeps a row, in whole days; ``None`` when nobody has said.
        now: The clock, for tests.
    """
    if retention is None:
        return None
    clock = (now or datetime.now(UTC)).astimezone(UTC)
    try:
        first = (clock - retention).date()  # of this day some rows are there still
        last = (clock - retention + warning_margin(retention)).date()
    except OverflowError:  # longer than the calendar
        return None
    found = incomplete(lake, first, min(last, clock.date() - ONE_DAY))
    return RetentionWarning(tuple(found), retention) if found else None


def incomplete(lake: Lake, first: date, last: date) -> list[date]:
    """Days from ``first`` to ``last`` that the lake does not hold to their end, and did not let go on purpose."""
    mark = expiry_mark.read(lake.root)
    days = [first + number * ONE_DAY for number in range((last - first).days + 1)]
    return [
        day
        for day in days
        if not expiry_mark.is_expired(mark, day) and not ((record := lake.recorded(day)) and record.is_complete)
    ]


def command(days: tuple[date, ...]) -> str:
    """The extraction of these days."""
    return extraction(days)


def format_days(days: tuple[date, ...]) -> str:
    """Days in words, the first ones by name."""
    more = f" and {len(days) - _MOST_NAMED} more" if len(days) > _MOST_NAMED else ""
    return ", ".join(map(str, days[:_MOST_NAMED])) + more


DAYS = 7
PATIENCE_MS = 5_000
"""A count that takes longer is given up for the planner's statistics."""

FEW_DAYS = 60
"""A disk that is full so soon is worth a word."""


def check_volume(source: Source, *, small: int) -> Iterator[Check]:
    """Rows and bytes that the log table grows by per day.

    Args:
        source: Entered.
        small: Bytes below which the table may be read whole.
    """
    layout = source.layout()
    [clock] = source.ask("clock")
    until = datetime.combine(clock["server_time"].date(), time(), UTC)
    days = _counted(source, layout, until, small)
    if days is None:
        yield from _by_statistics(source, layout)
        return
    total = sum(day["logged_count"] for day in days)
    if not total:
        yield advice(
            "volume",
            f"no row was logged in the {DAYS} days before today",
            "does the engine write to this database, and is its log switched on?",
        )
        return
    most = max(days, key=lambda day: day["logged_count"])
    failed = sum(day["failed_count"] for day in days)
    yield ok(
        "volume",
        f"{total / DAYS:,.0f} rows a day were logged in the {DAYS} days before today, most on {most['day']} "
        f"({most['logged_count']:,}); {failed / total:.1%} of the rows are failures, which are all logged"
        + _bytes(layout, total / DAYS),
    )
    if odd := sum(day["odd_count"] for day in days):
        yield advice(
            "sampled",
            f"{odd:,} of {total:,} rows are flagged otherwise than the engine does: ok runs as sampled, failures as not",
            "ask who else writes this table; their weights may be wrong: strategy-analytics check",
        )


def _counted(source: Source, layout: Row, until: datetime, small: int) -> list[Row] | None:
    """Days with their counts; ``None`` where counting would read all of a large table, or takes too long."""
    parameters = {"since": until - timedelta(days=DAYS), "until": until, "undated": False}
    source.choose_scan({**parameters, **RealmFilter().parameters()})
    return query_if_cheap(source, layout, "volume", parameters, small)


def query_if_cheap(source: Source, layout: Row, name: str, parameters: Parameters, small: int) -> list[Row] | None:
    """The answer of a statement; ``None`` where it would read all of a large table, or takes too long.

    Args:
        source: Entered.
        layout: Of the log table.
        name: Of the statement in ``sql/source``.
        parameters: Its values.
        small: Bytes below which the table may be read whole.
    """
    try:
        whole = any(scans_whole_table(node) for node in plan_nodes(source.plan_of(name, parameters)))
        if whole and layout["table_bytes"] >= small:
            return None
        return source.ask(name, parameters, timeout_ms=PATIENCE_MS)
    except SourceError:
        return None  # the statistics are asked instead, and fail where something is really wrong


def _by_statistics(source: Source, layout: Row) -> Iterator[Check]:
    found = source.ask("volume_statistics")
    if not found or not layout["row_estimate"]:
        yield advice(
            "volume",
            "how much is logged per day is not known: counting would read the whole table, and it was never analyzed",
            "analyze strategyexecutionlog;",
        )
        return
    rows = found[0]["share"] * layout["row_estimate"] / DAYS
    yield ok(
        "volume",
        f"about {rows:,.0f} rows a day were logged in the week before {found[0]['newest']:%Y-%m-%d}, by the planner's statistics"
        + _bytes(layout, rows),
    )


def _bytes(layout: Row, rows: float) -> str:
    if not layout["row_estimate"]:
        return ""
    return (
        f"; about {rows * layout['bytes_with_values'] / layout['row_estimate'] / (1 << 20):,.1f} MB a day in the table"
    )


# ---- the lake --------------------------------------------------------------------------------------------------------


def check_growth(lake: Lake, free: int) -> Iterator[Check]:
    """What the lake grows by per day, and how long the disk lasts.

    Args:
        lake: Its ledger is read, no data.
        free: Bytes that are free on its disk.
    """
    days = _last_days(lake)
    grown = sum(info.file_bytes + info.node_days_bytes for day in days for info in day.partitions.values())
    if not grown:
        return
    per_day = grown / len(days)
    left = free / per_day
    said = f"a day takes {per_day / (1 << 20):,.1f} MB in the lake (mean of the last {len(days)})"
    if left < FEW_DAYS:
        yield advice("growth", f"{said}: the disk is full in about {left:,.0f} days", "move the lake to a larger disk")
    else:
        yield ok(
            "growth",
            f"{said}: the free space lasts for {'more than ten years' if left > 3650 else f'{left:,.0f} days'}",
        )


def check_weights(lake: Lake, rates: Rates) -> Iterator[Check]:
    """Do the rates that the lake's last days were weighed with agree with what is said now? What do they imply?

    The log does not hold its rate, so nothing here proves one; only the engine's own counters do.
    """
    infos = [info for day in _last_days(lake) for info in day.partitions.values()]
    other = [info for info in infos if info.sample_rates != rates.of_day(info.partition.realm, info.partition.day)]
    if other:
        first = min(info.partition.day for info in other if info.partition.day)
        now = described(rates.of_day(other[0].partition.realm, other[0].partition.day))
        yield advice(
            "weights",
            f"{len(other)} of the lake's last {len(infos)} partitions were weighed otherwise than the settings say now: "
            f"{other[0].partition} with {described(other[0].sample_rates)}, not {now}",
            f"if the settings are right: strategy-analytics extract --since {first} --force",
        )
    steady = [info for info in infos if len(info.sample_rates) == 1 and info.sample_rates[0].rate]
    ok_count = sum(info.status_counts.get("ok", 0) for info in steady)
    failed = sum(info.row_count for info in steady) - ok_count
    runs = failed + sum(info.status_counts.get("ok", 0) / info.sample_rates[0].rate for info in steady)
    if runs:
        yield ok(
            "failures",
            f"{failed / (failed + ok_count):.2%} of the last days' rows in the lake are failures, which at the rates used is about "
            f"{failed / runs:.2%} of the runs; if the engine's own counters say otherwise, so does: strategy-analytics audit "
            "--counters URL",
        )


def _last_days(lake: Lake) -> list[DayRecord]:
    """The newest days of the ledger that can be read, without the undated partition."""
    days = [day for day in lake.recorded_days() if day is not None][-DAYS:]
    return [record for day in days if (record := lake.recorded(day)) is not None]
