"""A span of UTC time, and the words people use for one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from analytics.errors import UsageError

ONE_DAY = timedelta(days=1)
_FIRST = datetime.min.replace(tzinfo=UTC)
_ROOM = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""A report looks weeks back from its window, and calendars end."""


def midnight(day: date) -> datetime:
    """When a UTC day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of UTC time, ``since <= t < until``."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise UsageError("a window needs times with a time zone", hint="use datetime(..., tzinfo=timezone.utc)")
        if self.since >= self.until:
            raise UsageError(
                f"the window is empty: since {self.since:%Y-%m-%d %H:%M} is not before until {self.until:%Y-%m-%d %H:%M}",
                hint="until is exclusive: for one day give --since 2026-07-08 --until 2026-07-09",
            )

    @classmethod
    def parse(
        cls, since: str | date | None, until: str | date | None, *, now: datetime | None = None, days: int = 3
    ) -> Window:
        """Read a window the way people write one.

        Args:
            since: ``2026-07-08``, ``2026-07-08 09:30``, ``today``, ``yesterday``, ``7d`` or ``12h`` (that long before
                the end of today or before now), a date or a datetime; ``None`` for the last ``days`` days.
            until: The same, exclusive; ``None`` for the end of today.
            now: The clock, for tests.
            days: How many days the default window has, today included.

        Raises:
            UsageError: A word is not understood or the window is empty.
        """
        clock = (now or datetime.now(UTC)).astimezone(UTC)
        end = _moment(until, clock) if until is not None else _midnight(clock) + ONE_DAY
        start = _moment(since, clock) if since is not None else end - min(days * ONE_DAY, end - _FIRST)
        return cls(start, end)

    @property
    def days(self) -> list[date]:
        """The UTC days the window touches, in order."""
        first, last = self.since.date(), (self.until - timedelta(microseconds=1)).date()
        return [first + i * ONE_DAY for i in range((last - first).days + 1)]

    def of_report(self) -> Window:
        """The window itself if there is time around it to compare it with.

        Raises:
            UsageError: It begins before 1970, or ends after 8999.
        """
        if self.since < _ROOM[0] or self.until > _ROOM[1]:
            raise UsageError(
                f"no report is made of {self}",
                hint="give a window between 1970-01-01 and 9000-01-01, such as --since 30d",
            )
        return self

    def whole_days(self) -> Window:
        """The window itself if it consists of whole UTC days.

        Raises:
            UsageError: It starts or ends within a day.
        """
        if self.since != _midnight(self.since) or self.until != _midnight(self.until):
            raise UsageError(
                f"extraction works on whole UTC days, not {self}",
                hint="give dates: --since 2026-07-08 --until 2026-07-09",
            )
        return self

    def __str__(self) -> str:
        form = (
            "%Y-%m-%d"
            if self.since == _midnight(self.since) and self.until == _midnight(self.until)
            else "%Y-%m-%d %H:%M"
        )
        return f"{self.since:{form}} to {self.until:{form}}"


def moment(word: str, now: datetime | None = None) -> datetime:
    """A time as people write one: ``2026-07-08``, ``2026-07-08 09:30``, ``now``, ``today``, ``yesterday``, ``7d``, ``12h``.

    Raises:
        UsageError: It is none.
    """
    return _moment(word, (now or datetime.now(UTC)).astimezone(UTC))


def is_moment(word: str) -> bool:
    """A text is a time, as ``moment`` reads one."""
    try:
        moment(word)
    except UsageError:
        return False
    return True


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _moment(word: str | date, clock: datetime) -> datetime:
    """One end of a window, as UTC time."""
    if isinstance(word, datetime):
        return word.astimezone(UTC) if word.tzinfo else word.replace(tzinfo=UTC)
    if isinstance(word, date):
        return midnight(word)
    text = word.strip().lower()
    if text == "now":
        return clock
    if text in ("today", "yesterday", "tomorrow"):
        return _midnight(clock) + {"today": 0, "yesterday": -1, "tomorrow": 1}[text] * ONE_DAY
    if match := re.fullmatch(r"(\d{1,4})\s*([dh])", text):
        span = int(match[1])
        return _midnight(clock) - span * ONE_DAY if match[2] == "d" else clock - timedelta(hours=span)
    try:
        return _moment(datetime.fromisoformat(word.strip()), clock)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{word!r} is no date",
            hint="write 2026-07-08, '2026-07-08 09:30' (UTC), today, yesterday, 7d or 12h",
        ) from None
