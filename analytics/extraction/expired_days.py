"""What expiry means to an extraction: expired days are not brought back, unless somebody wants them back and says so."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from analytics.errors import LakeError, UsageError
from analytics.lake import expiry_mark
from analytics.lake.expiry_mark import Expired
from analytics.lake.lake import Lake
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
    mark, said = read_mark(lake)
    if mark is None or window.since.date() >= mark.before:
        return window, said
    if also_expired:
        left = [day for day in lake.recorded_days(also_expired=True) if expiry_mark.is_expired(mark, day)]
        if left:
            raise LakeError(
                f"{len(left)} expired days, {left[0]} the first, were not removed to their end; nothing was written",
                hint=f"finish that first: strategy-analytics expire --before {mark.before} --yes",
            )
        first = mark.first if mark.first and mark.first < window.since.date() else None
        write_mark(lake, Expired(window.since.date(), first, now(), __version__))
        return window, [
            *said,
            f"expired are the days before {window.since:%Y-%m-%d} from now on, no longer those before {mark.before}",
        ]
    cut = min(window.until.date(), mark.before)
    told = f"the days from {window.since:%Y-%m-%d} to {cut - ONE_DAY} are expired (strategy-analytics expire) and were left alone"
    if window.until.date() <= mark.before:
        raise UsageError(f"{told}: nothing remains of the window", hint="--also-expired brings them back")
    rest = Window(datetime(mark.before.year, mark.before.month, mark.before.day, tzinfo=UTC), window.until)
    return rest, [*said, f"{told}; --also-expired brings them back"]


def read_mark(lake: Lake) -> tuple[Expired | None, list[str]]:
    """What was let go; written again where one of its two files was lost or is an older one."""
    mark, (first, copy) = expiry_mark.read(lake.root), expiry_mark.both(lake.root)
    if mark is None or first == copy:
        return mark, []
    write_mark(lake, mark)
    if first == mark:
        return mark, []  # of an older version, which wrote one file
    was = "was lost" if first is None else "was an older one"
    return mark, [
        f"{expiry_mark.NAME} {was}; by its copy the days before {mark.before} are expired, so it was written again"
    ]


def write_mark(lake: Lake, mark: Expired) -> None:
    """Write which days are expired, the file first: whoever is killed before the copy is written leaves the later one."""
    for path in (lake.root / expiry_mark.NAME, lake.root / "ledger" / expiry_mark.NAME):
        lake.write_text(path, json.dumps(mark.to_dict(), indent=1) + "\n")


def now() -> datetime:
    """In whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0)
