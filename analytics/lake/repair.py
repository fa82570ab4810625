"""The one command that brings days into the lake, wherever it is told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from analytics.window import ONE_DAY


def extraction(days: Collection[date], expired: Collection[date] = ()) -> str:
    """One extraction of all of these days; it reads nothing of days between them that are there.

    Args:
        days: One at least.
        expired: Of these, the ones that were dropped on purpose: an extraction that is not told leaves them alone.
    """
    also = " --also-expired" if expired else ""
    return f"strategy-analytics extract --since {min(days)} --until {max(days) + ONE_DAY}{also}"
