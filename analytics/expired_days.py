"""What expiry means to an extraction: expired days are not brought back, unless somebody wants them back and says so."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

from analytics import expired
from analytics.errors import LakeError, UsageError
from analytics.expired import Expired
from analytics.lake import Lake
from analytics.version import __version__
from analytics.window import ONE_DAY, Window


def exclude_expired(lake: Lake, window: Window, *, also_expired: bool) -> tuple[Window, list[str]]:
    """What of a window an extraction may write; only under the lock.

    Args:
        lake: Where.
        window: Whole UTC days.
        also_expired: Expired days of the window are wanted back: days from its first one on are expired no more.

    Returns:
        The window without its expired days, and what a person should know, in sentences.

    Raises:
        UsageError: All of its days are expired.
        LakeError: They are wanted back while a killed run has left some of them half dropped.
    """
    mark = expired.read(lake.root)
    if mark is None or window.since.date() >= mark.before:
        return window, []
    if also_expired:
        left = [day for day in lake.recorded_days(also_expired=True) if expired.is_expired(mark, day)]
        if left:
            raise LakeError(
                f"{len(left)} expired days, {left[0]} the first, were not removed to their end; nothing was written",
                hint=f"finish that first: strategy-analytics expire --before {mark.before} --yes",
            )
        first = mark.first if mark.first and mark.first < window.since.date() else None
        with lake.workspace() as workspace:
            write_mark(lake, window.since.date(), first, workspace)
        return window, [
            f"expired are the days before {window.since:%Y-%m-%d} from now on, no longer those before {mark.before}"
        ]
    cut = min(window.until.date(), mark.before)
    said = f"the days from {window.since:%Y-%m-%d} to {cut - ONE_DAY} are expired (strategy-analytics expire) and were left alone"
    if window.until.date() <= mark.before:
        raise UsageError(f"{said}: nothing remains of the window", hint="--also-expired brings them back")
    rest = Window(datetime(mark.before.year, mark.before.month, mark.before.day, tzinfo=UTC), window.until)
    return rest, [f"{said}; --also-expired brings them back"]


def write_mark(lake: Lake, before: date, first: date | None, workspace: Path) -> None:
    """Write which days are expired, durably: those before a day, from a first one on where some are wanted back.

    Args:
        lake: Whose mark.
        before: Days before this one are expired.
        first: The first expired day; ``None``: all before.
        workspace: A folder for the file until it is complete.
    """
    mark = Expired(before, first, datetime.now(UTC).replace(microsecond=0), __version__)
    staged = workspace / f"{expired.NAME}.tmp"
    staged.write_text(json.dumps(mark.to_dict(), indent=1) + "\n", encoding="utf-8")
    lake.replace(staged, lake.root / expired.NAME)
