"""Which days the lake has let go on purpose: all before one. Written before the first file goes, so that it holds at once.

For readers those days are gone from that moment on, whatever a killed run has left of them; extraction leaves them alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from analytics.errors import DamagedFileError, LakeError, LakeFormatError, UsageError
from analytics.storage import LakePath, typed_json
from analytics.storage.typed_json import Json
from analytics.window import ONE_DAY

NAME = "expired.json"
FORMAT = 1

YOUNGEST_DAYS = 3
"""Days that every extraction looks at, when it is not told which: what is younger is seldom meant."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What ``expired.json`` says.

    Attributes:
        before: Days before this one are expired.
        first: The oldest day that was ever dropped; ``None`` when there was none.
        expired_at: When the day was last set, UTC.
        version: Of this package, that set it.
    """

    before: date
    first: date | None
    expired_at: datetime
    version: str

    def to_dict(self) -> dict[str, Json]:
        """The same facts as plain JSON values."""
        return {
            "format": FORMAT,
            "before": self.before.isoformat(),
            "first": self.first.isoformat() if self.first else None,
            "expired_at": self.expired_at.isoformat(),
            "version": self.version,
        }


def read(root: LakePath) -> Expired | None:
    """What the lake in ``root`` has let go; ``None`` when nothing.

    It is written twice, so that a lost file does not bring days back; of two that differ the later one counts.

    Raises:
        DamagedFileError: The file is damaged: nobody can say which days are to stay away.
    """
    found = [mark for mark in both(root) if mark]
    return max(
        found, key=lambda mark: mark.expired_at, default=None
    )  # of two of one second the first, which is written first


def both(root: LakePath) -> tuple[Expired | None, Expired | None]:
    """What ``expired.json`` says, and what its copy in the ledger's folder does.

    Raises:
        LakeError: The file is damaged.
    """
    copies = [*(root / "ledger").glob(NAME)]  # a look at the folder, which is known: there is seldom one
    first = _read(root / NAME)
    try:
        copy = _read(copies[0]) if copies else None
    except LakeError as error:
        if first is None or isinstance(error, LakeFormatError):
            raise
        copy = None  # the next extraction writes it again
    return first, copy


def _read(path: LakePath) -> Expired | None:
    try:
        data = typed_json.document(path.read_text(encoding="utf-8"))
        typed_json.refuse_newer(data, FORMAT, path)
        if data["format"] != FORMAT:
            raise ValueError("no known format")
        return Expired(
            typed_json.day(data["before"]),
            typed_json.day_or_none(data["first"]),
            typed_json.moment(data["expired_at"]),
            typed_json.text(data["version"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, *typed_json.WRONG) as error:
        raise DamagedFileError(
            f"{path} is damaged ({typed_json.said(error)}), so nobody can say which days are expired",
            hint="restore it from a backup, or remove it: then no day counts as expired, and extraction may bring days back",
            path=str(path),
        ) from error


def is_expired(mark: Expired | None, day: date | None) -> bool:
    """The day was let go; rows without a day never are."""
    return mark is not None and day is not None and day < mark.before


def first_day_to_keep(
    older_than: str | None, before: str | None, *, accept_young: bool, now: datetime | None = None
) -> date:
    """The first day that stays.

    Args:
        older_than: ``180d`` or ``26w``: days that were over so long ago go.
        before: ``2026-01-01``: days before that one go.
        accept_young: Also days that every extraction still looks at.
        now: The clock, for tests.

    Raises:
        UsageError: None of the two was given, or both; it is no age or no day; it lies in the future; or the days are young.
    """
    if (older_than is None) == (before is None):
        raise UsageError(
            "say how old: either --older-than or --before", hint="--older-than 180d, or --before 2026-01-01"
        )
    today = (now or datetime.now(UTC)).astimezone(UTC).date()
    said = f"--older-than {older_than}" if older_than is not None else f"--before {before}"
    found = _age(older_than, today) if older_than is not None else _day(before or "")
    if found > today:
        raise UsageError(
            f"{said}: {found} is in the future, and nobody knows yet what those days hold",
            hint="a lake is not emptied this way: remove its folder",
        )
    youngest = today - YOUNGEST_DAYS * ONE_DAY
    if found > youngest and not accept_young:
        raise UsageError(
            f"{said} would drop days younger than {YOUNGEST_DAYS} days, which every extraction still looks at; nothing was removed",
            hint=f"--before {youngest} is the last that is safe; if they are to go all the same, give --yes",
        )
    return found


def _age(word: str, today: date) -> date:
    match = re.fullmatch(r"(\d{1,7})\s*([dw])", word.strip().lower())
    if not match:
        raise UsageError(f"{word!r} is no age", hint="whole days or weeks: --older-than 180d or --older-than 26w")
    try:
        return today - timedelta(days=int(match[1]) * (7 if match[2] == "w" else 1))
    except OverflowError:
        raise UsageError(f"{word!r} is longer ago than the calendar goes", hint="--older-than 180d") from None


def _day(word: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", word.strip()):
            return date.fromisoformat(word.strip())
    except ValueError:
        pass  # 30 February
    raise UsageError(f"{word!r} is no day", hint="--before 2026-01-01: the first day that stays")
