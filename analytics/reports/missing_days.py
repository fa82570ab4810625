"""Days of a window that the lake does not hold: which, and what to do about them. Of these nobody can tell anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from analytics.lake.repair import extraction
from analytics.reports import page
from analytics.reports.page import number as write
from analytics.warehouse.coverage import Coverage

_ONE_DAY = dt.timedelta(days=1)
_MOST_STRETCHES = 4


def stretches(days: Sequence[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """Days in a row as first and last, oldest first."""
    found: list[tuple[dt.date, dt.date]] = []
    for day in sorted(set(days)):
        if found and day - found[-1][1] == _ONE_DAY:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def names(days: Sequence[dt.date]) -> str:
    """Days for a sentence.

    >>> names([dt.date(2026, 7, 8), dt.date(2026, 7, 9), dt.date(2026, 7, 13)])
    'Wed 8 – Thu 9 July and Mon 13 July 2026'
    """
    said = [_stretch(first, last) for first, last in stretches(days)]
    if not said:
        return ""
    more = len(said) - _MOST_STRETCHES
    if more > 0:
        said = [*said[:_MOST_STRETCHES], f"{more} more stretches"]
    year = f" {max(days).year}"
    return (", ".join(said[:-1]) + " and " + said[-1] if len(said) > 1 else said[0]) + (year if more <= 0 else "")


def _stretch(first: dt.date, last: dt.date) -> str:
    if first == last:
        return write.day(first)
    # "Wed 8 – Thu 9 July", and both months where they differ.
    begin = write.day(first) if first.month != last.month else write.day(first).rpartition(" ")[0]
    return f"{begin} – {write.day(last)}"


def counted(held: Coverage) -> str:
    """How many days a sentence that says "nothing" has not looked at, and which; empty where it has looked at all of the window."""
    ahead = f"{write.counted(len(held.to_come), 'day')} still to come, {names(held.to_come)}"
    never = f"{write.counted(len(held.never), 'day')} not extracted{held.of_them_expired}, {names(held.never)}"
    gaps = [never] * bool(held.never)
    gaps += [f"{write.counted(len(held.lost), 'day')} with lost files, {names(held.lost)}"] * bool(held.lost)
    return "; ".join(gaps + [ahead] * bool(held.to_come))


def todo(held: Coverage) -> list[page.Todo]:
    """What to do about them; nothing where all are there."""
    if not held.obtainable:
        return []
    why = ["Their files are lost in the lake: a backup brings them back, or the source while it has them."] * bool(
        held.lost
    )
    if held.expired:
        why.append(f"{names(held.expired)} went on purpose (expired) and come back only while the source has them.")
    why.append("Of what is not in the lake this page can tell nothing. Then render it again.")
    days = held.obtainable
    return [page.Todo(f"Extract {names(days)}.", " ".join(why), extraction(days, held.expired))]


def unseen(held: Coverage) -> list[dt.date]:
    """Days for want of which a report cannot say that all is quiet; what is still to come of a window that has begun is none."""
    return held.missing if held.is_ahead else held.obtainable


def facts(held: Coverage) -> dict[str, list[str]]:
    """The same as plain JSON values, of which a card is made."""
    days = {
        "missing_days": unseen(held),
        "lost_days": held.lost,
        "expired_days": held.expired,
        "days_to_come": held.to_come,
    }
    return {name: [str(day) for day in some] for name, some in days.items()}
