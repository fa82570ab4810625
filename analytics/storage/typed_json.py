"""Values of JSON in the types they should have: a file that a person or another program wrote may say anything.

Each of these gives the value back, or a ValueError that says what it is instead; who reads a file tells which file it was.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NoReturn, TypeAlias

from analytics.errors import LakeFormatError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""A value of JSON, as the standard library reads it: whoever wants to know what it is has to look."""
JsonObject: TypeAlias = Mapping[str, Json]

WRONG = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What reading a file may raise that is none of its kind: one of these, and no other."""

Unchecked: TypeAlias = Any
"""What a file says and nobody has looked at yet: to be handed to one of the functions here."""

_MOST = (1 << 63) - 1
"""Counts beyond are no counts: neither DuckDB's nor Arrow's integers hold them."""
_MOST_DIGITS = 60
_DIGITS = re.compile(rf"-?[0-9]{{1,{_MOST_DIGITS}}}")
_LONGEST = 40


def refuse_newer(data: object, known: int, what: object) -> None:
    """Stop where a file says that it is of a newer format than this version reads; whatever else is wrong with it is not asked.

    Args:
        data: What the file holds.
        known: The newest format that is read.
        what: The file, in words.

    Raises:
        LakeFormatError: It is of a newer one.
    """
    said = data.get("format") if isinstance(data, dict) else None
    if isinstance(said, int) and said > known:
        raise LakeFormatError(
            f"{what} is of format {said}, and this version of strategy-analytics knows formats up to {known}: a newer version "
            "has written this lake; nothing was changed",
            hint="upgrade this installation to the version that writes the lake",
            format=said,
        )


def document(text: str) -> dict[str, Unchecked]:
    """A JSON object, and nothing that JSON does not know (NaN) or that says one thing twice.

    Args:
        text: Of a file; what some editors put before it, to say that it is UTF-8, is no part of it.
    """
    content = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant, object_pairs_hook=_once)
    if not isinstance(content, dict):
        raise _wrong(content, "an object of JSON")
    return content


def said(error: Exception) -> str:
    """What was wrong, in words."""
    if isinstance(error, KeyError):
        return f"it does not say {error.args[0]!r}" if error.args else "it does not say all"
    if isinstance(error, RecursionError):
        return "its brackets are nested too deep to read"
    return " ".join(str(error).split()) or type(error).__name__


def whole(value: Json) -> int:
    """A count."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
        raise _wrong(value, "a count")
    return value


def wholes(values: Iterable[Json]) -> None:
    """Each is a count; for those who read tens of thousands.

    Raises:
        ValueError: One is none.
    """
    for value in values:
        if type(value) is not int or not 0 <= value <= _MOST:
            whole(value)


def digits(value: Json) -> int:
    """A whole number that is written as text, because JSON's end at 2^53 in many readers."""
    if type(value) is str and value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS:
        return int(value)  # nearly all of them: tens of thousands in a ledger
    if not isinstance(value, str) or not _DIGITS.fullmatch(value):
        raise _wrong(value, "a whole number in quotation marks")
    return int(value)


def number(value: Json) -> float:
    """A finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _MOST or not math.isfinite(value):
        raise _wrong(value, "a number")
    return float(value)


def text(value: Json) -> str:
    """A text that can be written as UTF-8."""
    if not isinstance(value, str):
        raise _wrong(value, "a text")
    if not value.isascii():
        value.encode()
    return value


def fields(value: Json) -> JsonObject:
    """An object."""
    if not isinstance(value, dict):
        raise _wrong(value, "an object of JSON")
    return value


def texts(value: Json) -> list[str]:
    """A list of texts."""
    return [text(item) for item in listed(value)]


def listed(value: Json) -> list[Unchecked]:
    """A list."""
    if not isinstance(value, list):
        raise _wrong(value, "a list")
    return value


def day(value: Json) -> date:
    """A day."""
    try:
        return date.fromisoformat(text(value))
    except ValueError:
        raise _wrong(value, "a day") from None


def day_or_none(value: Json) -> date | None:
    """A day, or nothing."""
    return None if value is None else day(value)


def text_or_none(value: Json) -> str | None:
    """A text, or nothing."""
    return None if value is None else text(value)


def flag(value: Json) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def moment(value: Json) -> datetime:
    """A time with its offset, as UTC."""
    try:
        time = datetime.fromisoformat(text(value))
        if time.tzinfo is not None:
            return time if time.tzinfo is UTC else time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # said below, as for one without an offset
    raise _wrong(value, "a time with an offset")


def moment_or_none(value: Json) -> datetime | None:
    """The same, or nothing (also an empty text)."""
    return None if value in (None, "") else moment(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    content = dict(pairs)
    if len(content) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"it says {twice!a} twice")
    return content


def _wrong(value: Json, wanted: str) -> ValueError:
    shown = ascii(value)
    return ValueError(f"{shown if len(shown) <= _LONGEST else shown[:_LONGEST] + '…'} is not {wanted}")
