"""The one command that brings days into the lake, wherever it is told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime

from analytics.window import ONE_DAY


def to_come(days: Collection[date], now: datetime | None = None) -> list[date]:
    """Of these days the ones that have not begun (UTC): nobody can extract them yet.

    Args:
        days: Any.
        now: The clock; this machine's when not given.
    """
    today = (now or datetime.now(UTC)).astimezone(UTC).date()
    return sorted({day for day in days if day > today})


def extraction(days: Collection[date], expired: Collection[date] = ()) -> str:
    """One extraction of all of these days; it reads nothing of days between them that are there.

    Args:
        days: One at least, and none of those ``to_come``.
        expired: Of these, the ones that were dropped on purpose: an extraction that is not told leaves them alone.
    """
    also = " --also-expired" if expired else ""
    return f"strategy-analytics extract --since {min(days)} --until {max(days) + ONE_DAY}{also}"
