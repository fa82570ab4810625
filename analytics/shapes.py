"""What a file says has the shape it should have: a file that a person or another program wrote may say anything.

Each of these gives the value back, or a ValueError that says what it is instead; who reads a file tells which file it was.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

_MOST = (1 << 63) - 1
"""Counts beyond are no counts: neither DuckDB's nor Arrow's integers hold them."""
_DIGITS = re.compile(r"-?[0-9]{1,60}")
_LONGEST = 40


def whole(value: Any) -> int:
    """A count."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise _wrong(value, "a count")
    return value


def digits(value: Any) -> int:
    """A whole number that is written as text, because JSON's end at 2^53 in many readers."""
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise _wrong(value, "a whole number in quotation marks")
    return int(value)


def number(value: Any) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _MOST or not math.isfinite(value):
        raise _wrong(value, "a number")
    return float(value)


def text(value: Any) -> str:
    """A text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise _wrong(value, "a text")
    value.encode()
    return value


def text_or_none(value: Any) -> str | None:
    """A text, or nothing."""
    return None if value is None else text(value)


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def moment(value: Any) -> datetime:
    """A time with its offset, as UTC."""
    try:
        found = datetime.fromisoformat(text(value))
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # said below, as for one without an offset
    raise _wrong(value, "a time with an offset")


def moment_or_none(value: Any) -> datetime | None:
    """The same, or nothing (also an empty text)."""
    return None if value in (None, "") else moment(value)


def _wrong(value: Any, wanted: str) -> ValueError:
    said = ascii(value)
    return ValueError(f"{said if len(said) <= _LONGEST else said[:_LONGEST] + '…'} is not {wanted}")
