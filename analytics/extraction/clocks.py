"""Clocks that are wrong: this machine's, which says what today is, and those that rows and lakes were written by.

A window that was meant for other days is of the kind: then a person is told when the newest row was written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from analytics.errors import LakeError, SourceError
from analytics.lake.lake import Lake
from analytics.source.source import Source
from analytics.window import ONE_DAY, Window

JUMP = timedelta(days=14)
"""A lake is extracted every night or every week: a clock that is further ahead of all it has seen has rather jumped."""
_APART = timedelta(minutes=5)
"""Further apart, two clocks are told; answers on a slow line come later than that only in name."""
_SMALL = 256 << 20
"""Bytes of a table that may be read whole to look for one row; of larger ones the server's statistics are asked."""


def last_time(lake: Lake) -> date | None:
    """The last day of which the lake knows by another clock than this machine's; ``None`` where it holds nothing.

    That is the database server's clock at its extractions, and where none is written down its newest rows.
    """
    records = [record for day in lake.recorded_days() if (record := lake.recorded(day)) and record.day is not None]
    servers = [record.complete_until.date() for record in records if record.complete_until]
    with_rows = [record.day for record in records if record.partitions and record.day is not None]
    return max(servers or with_rows, default=None)


def ensure_plausible(lake: Lake, today: date, *, accept: bool = False) -> None:
    """Refuse to call days old when nothing but this machine's clock says so.

    Args:
        lake: Its ledger is read.
        today: By this machine's clock.
        accept: Whoever asks knows that the clock is right and the lake was left alone for so long.

    Raises:
        LakeError: The clock is far ahead of all that the lake has seen.
    """
    seen = last_time(lake)
    if accept or seen is None or today - seen <= JUMP:
        return
    raise LakeError(
        f"this machine's clock says {today}, but the last extraction saw {seen} on the server's: nothing was removed",
        hint="set the clock (timedatectl), or extract first; where it is right and the lake was left alone so long, --accept-clock",
    )


def sentences(source: Source, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[str]:
    """What a person should know of the clocks that an extraction relies on.

    Args:
        source: Entered.
        now: This machine's clock.
    """
    found: list[str] = []
    with contextlib.suppress(SourceError):  # a server that does not tell its time
        [row] = source.ask("clock")
        server: datetime = row["server_time"].replace(tzinfo=UTC)
        ahead = now() - server
        if abs(ahead) > _APART:
            found.append(
                f"this machine's clock is {_span(abs(ahead))} {'ahead of' if ahead > timedelta(0) else 'behind'} the database "
                "server's: today, yesterday and 3d are days of this machine's; set it (timedatectl), or give dates"
            )
        newest = _newest(source, server + ONE_DAY)
        if newest is not None:
            found.append(
                f"the log has rows of the future, up to {newest:%Y-%m-%d}, written by a host whose clock was wrong: they are read "
                f"with --until {newest.date() + ONE_DAY} only"
            )
    return found


def newest_elsewhere(source: Source, window: Window) -> list[str]:
    """Where the rows are, for a window that has none; nothing where the server does not tell."""
    with contextlib.suppress(SourceError):
        newest = _newest(source, datetime.min.replace(tzinfo=UTC))
        if newest is not None:
            return [f"the source has no row in {window}; the newest that is known of is of {newest:%Y-%m-%d %H:%M} UTC"]
    return []


def _newest(source: Source, after: datetime) -> datetime | None:
    [layout] = source.ask("layout")
    small = 0 < layout["table_bytes"] <= _SMALL
    [row] = source.ask("newest" if small else "newest_statistics", {"after": after})
    newest: datetime | None = row["newest"]
    return newest


def _span(span: timedelta) -> str:
    for unit, seconds in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if span.total_seconds() >= 2 * seconds:
            return f"{span.total_seconds() / seconds:.0f} {unit}"
    return f"{span.total_seconds():.0f} seconds"
