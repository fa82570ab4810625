"""Does the source delete old rows, and are its oldest days in the lake before they go?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from analytics import retention
from analytics.diagnosis import Diagnosis, advice, ok, problem
from analytics.doctor_volume import asked_cheaply
from analytics.lake import Lake
from analytics.source import Source
from analytics.window import ONE_DAY

OLDEST_LOG = date(2000, 1, 1)
"""Rows before are of a host whose clock was not set: they say nothing of how long rows are kept."""


def examine_retention(lake: Lake, kept_for: timedelta) -> Iterator[Diagnosis]:
    """Of a source that is known to delete rows: are the days that it deletes next in the lake?

    Args:
        lake: Its ledger is read.
        kept_for: How long the source keeps a row.
    """
    if found := retention.alarm(lake, kept_for):
        yield problem("retention", found.sentence, found.command)
    else:
        yield ok(
            "retention",
            f"of the days that the source deletes next (after {kept_for.days} days) all are complete in the lake",
        )


def infer_retention(source: Source, lake: Lake, *, small: int) -> Iterator[Diagnosis]:
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
    [clock] = source._rows("clock")
    kept_for = max(clock["server_time"].date() - oldest, ONE_DAY)
    last = min(oldest + retention.margin(kept_for) - ONE_DAY, clock["server_time"].date() - ONE_DAY)
    said = f"the source deletes old rows: its oldest are of {oldest}, and the lake holds {len(gone)} days before that"
    setting = f"ANALYTICS_SOURCE_RETENTION={kept_for.days}d has every extraction warn"
    if days := tuple(retention.incomplete(lake, oldest, last)):
        yield advice(
            "retention",
            f"{said}; not complete in the lake, and next to go: {retention.named(days)}",
            f"{retention.command(days)}; {setting}",
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
    found = asked_cheaply(source, layout, "oldest", {"since": begin}, small)
    [row] = source._rows("oldest_statistics", {"since": begin}) if found is None else found
    return row["oldest"].date() if row["oldest"] else None
