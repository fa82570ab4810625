"""Windows in relative words, and the days on which a report is due."""

from __future__ import annotations

import re
from datetime import date

from analytics.errors import UsageError
from analytics.window import ONE_DAY, Window, midnight

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY = ("day", *WEEKDAYS, "month")
"""When a report is due: each day, on a weekday, or on the first of a month."""


def window_of(words: str, today: date) -> Window:
    """The whole UTC days that words mean, seen from a day. None of them but "today" holds a day that is not over.

    Args:
        words: ``yesterday``, ``today``, ``last 7 days``, ``last week`` (Monday to Sunday) or ``last month``.
        today: The day of the report.

    Raises:
        UsageError: The words mean nothing.
    """
    text = " ".join(words.lower().split())
    monday, first = today - today.weekday() * ONE_DAY, today.replace(day=1)
    spans = {
        "today": (today, today + ONE_DAY),
        "yesterday": (today - ONE_DAY, today),
        "last week": (monday - 7 * ONE_DAY, monday),
        "last month": ((first - ONE_DAY).replace(day=1), first),
    }
    if text in spans:
        since, until = spans[text]
    elif (match := re.fullmatch(r"last (\d{1,3}) days?", text)) and int(match[1]):
        since, until = today - int(match[1]) * ONE_DAY, today
    else:
        raise UsageError(
            f"{words!r} is no window", hint='write "yesterday", "last 7 days", "last week", "last month" or "today"'
        )
    return Window(midnight(since), midnight(until))


def due_days(every: str, today: date, catch_up: int) -> list[date]:
    """The days of the last ones on which a report is due, oldest first.

    Args:
        every: One of `EVERY`.
        today: The last day.
        catch_up: How many days to look at, today included: a machine that was off makes up for them.
    """
    return [day for back in range(catch_up - 1, -1, -1) if is_due(every, day := today - back * ONE_DAY)]


def is_due(every: str, day: date) -> bool:
    """A report is due on that day."""
    if every in WEEKDAYS:
        return day.weekday() == WEEKDAYS.index(every)
    return every == "day" or (every == "month" and day.day == 1)
