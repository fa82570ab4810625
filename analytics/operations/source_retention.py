"""The race against the source's own deletion: days that it is about to lose and that the lake does not hold to their end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from analytics.lake import expiry_mark
from analytics.lake.lake import Lake
from analytics.window import ONE_DAY

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Alarm:
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
            f"the source deletes rows older than {self.retention.days} days: {named(self.days)} {'is' if one else 'are'} not "
            f"complete in the lake, and {'its' if one else 'their'} rows go from {self.deletes_from:%Y-%m-%d %H:%M} UTC on"
        )

    @property
    def command(self) -> str:
        """What saves them."""
        return command(self.days)

    def to_dict(self) -> dict[str, Any]:
        """The same facts as plain JSON values."""
        return {
            "days": [day.isoformat() for day in self.days],
            "retention_days": self.retention.days,
            "deletes_from": self.deletes_from.isoformat(),
            "command": self.command,
        }


def margin(retention: timedelta) -> timedelta:
    """How long before its deletion a day is worth an alarm: a tenth of the retention, between one day and three."""
    return min(max(retention / 10, ONE_DAY), 3 * ONE_DAY)


def alarm(lake: Lake, retention: timedelta | None, now: datetime | None = None) -> Alarm | None:
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
        last = (clock - retention + margin(retention)).date()
    except OverflowError:  # longer than the calendar
        return None
    found = incomplete(lake, first, min(last, clock.date() - ONE_DAY))
    return Alarm(tuple(found), retention) if found else None


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
    return f"strategy-analytics extract --since {days[0]} --until {days[-1] + ONE_DAY}"


def named(days: tuple[date, ...]) -> str:
    """Days in words, the first ones by name."""
    more = f" and {len(days) - _MOST_NAMED} more" if len(days) > _MOST_NAMED else ""
    return ", ".join(map(str, days[:_MOST_NAMED])) + more
