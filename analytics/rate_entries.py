"""What somebody said of the engine's sampling rate: entries, and the TOML file they are written in.

# How many ok runs the engine logs (its DSL_EXECUTION_LOG_SAMPLE_RATE), and since when. Times without an offset are UTC.
[[rate]]
rate = 0.05
[[rate]]
rate = 0.2
since = 2026-07-08T14:30:00Z
[[rate]]
rate = 1.0
realm = "acme"          # or realms = ["a", "b"]; null_realm = true for rows without a realm
since = 2026-07-01
until = 2026-07-05      # exclusive
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from analytics.errors import ConfigurationError
from analytics.window import ONE_DAY

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = ONE_DAY / 86_400_000_000
EVER = (-(1 << 63), (1 << 63) - 1)
"""Microseconds since the epoch: before and after every time."""

_LEAST_RATE = 1e-9
"""A smaller one is a slip of the pen, and its weights would not be numbers any more."""

_KEYS = ("rate", "since", "until", "realm", "realms", "null_realm")
_SHAPE = "begin each with [[rate]], then rate = 0.05 and, where they apply, since, until, realm, realms, null_realm"
_NUMBER = "it is the engine's DSL_EXECUTION_LOG_SAMPLE_RATE: --sample-rate 0.05 or ANALYTICS_SAMPLE_RATE=0.05"
_ENTRY_NUMBER = "it is the engine's DSL_EXECUTION_LOG_SAMPLE_RATE, a number without quotes: rate = 0.05"


@dataclass(frozen=True, slots=True)
class RateEntry:
    """What somebody said of a rate.

    Attributes:
        rate: Fraction of ok runs that is logged, 0 to 1.
        since: From when on, with a time zone; ``None`` for ever before.
        until: Up to when, exclusive; ``None`` for ever after.
        realms: For which tenants, ``None`` among them for rows without one; empty for every tenant.
    """

    rate: float
    since: datetime | None = None
    until: datetime | None = None
    realms: tuple[str | None, ...] = ()

    @property
    def span(self) -> tuple[int, int]:
        """Since and until as microseconds since the epoch."""
        return (
            EVER[0] if self.since is None else microseconds(self.since),
            EVER[1] if self.until is None else microseconds(self.until),
        )

    def __str__(self) -> str:
        names = ", ".join("rows without a realm" if name is None else ascii(name) for name in self.realms)
        since = f" since {spelled(self.since)}" if self.since else ""
        until = f" until {spelled(self.until)}" if self.until else ""
        return f"{self.rate!r}{f' for {names}' if names else ''}{since}{until}"


def microseconds(moment: datetime) -> int:
    """Since the epoch."""
    return (moment - EPOCH) // MICROSECOND


def spelled(moment: datetime) -> str:
    """As people read it: ``2026-07-08T14:30:00Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def checked_rate(value: object, what: str = "the sampling rate", hint: str = _NUMBER) -> float:
    """A rate that is one.

    Args:
        value: A number, or its text.
        what: Which rate, for the message.
        hint: How to repair it.

    Raises:
        ConfigurationError: It is no number from 0 to 1, or so small that it must be a slip.
    """
    try:
        rate = float("nan") if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        rate = float("nan")
    if not (rate == 0 or _LEAST_RATE <= rate <= 1):
        raise ConfigurationError(
            f"{what} must be a number from 0 to 1 (0 itself, or at least {_LEAST_RATE:g}), not {ascii(value)[:60]}",
            hint=hint,
        )
    return rate + 0.0  # minus zero is zero


def check(entries: tuple[RateEntry, ...]) -> None:
    """Refuse entries that cannot be, or contradict each other.

    Raises:
        ConfigurationError: Says which, by their numbers.
    """
    seen: dict[tuple[bool, str | None, int], int] = {}
    for number, entry in enumerate(entries, 1):
        checked_rate(entry.rate, f"the rate of entry {number}", _ENTRY_NUMBER)
        if any(moment and moment.tzinfo is None for moment in (entry.since, entry.until)):
            raise ConfigurationError(
                f"entry {number} has a time without a time zone", hint="use datetime(..., tzinfo=timezone.utc)"
            )
        start, end = entry.span
        if end <= start:
            raise ConfigurationError(
                f"entry {number} ends before it begins: {entry}", hint="until is exclusive: it must be later than since"
            )
        for key in [(True, realm, start) for realm in entry.realms] or [(False, None, start)]:
            other = seen.setdefault(key, number)
            if other != number:
                raise ConfigurationError(
                    f"entries {other} and {number} say a rate for the same tenant since the same time: "
                    f"{entries[other - 1]}; {entry}",
                    hint="give the later one its since, or take one of them out",
                )


def read(path: str | Path) -> tuple[RateEntry, ...]:
    """The entries of a file, in its order.

    Raises:
        ConfigurationError: It cannot be read, is no TOML, says nothing, or says something that cannot be.
    """
    import tomllib

    try:
        entries = tuple(_entries(tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))))
        check(entries)
    except ConfigurationError as error:
        raise ConfigurationError(f"the rates in {path}: {error.message}", hint=error.hint) from None
    except OSError as error:
        raise ConfigurationError(
            f"the rates in {path} cannot be read: {error.strerror or error}",
            hint="--sample-rates or ANALYTICS_SAMPLE_RATES names a file of rates that is there and may be read",
        ) from None
    except (ValueError, RecursionError) as error:
        # TOML's own errors name line and column; the others are no UTF-8, endless digits, endless brackets
        raise ConfigurationError(f"the rates in {path} are no TOML: {error}", hint=_SHAPE) from None
    return entries


def _entries(told: dict[str, Any]) -> Iterator[RateEntry]:
    tables = told.get("rate", [])
    for key in told:
        if key != "rate":
            raise ConfigurationError(f"{ascii(key)[:60]} is nothing a file of rates can say", hint=_SHAPE)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError("rate is not written as a list of tables", hint=_SHAPE)
    if not tables:
        raise ConfigurationError("there is none", hint=_SHAPE)
    for number, table in enumerate(tables, 1):
        yield _entry(table, number)


def _entry(table: dict[str, Any], number: int) -> RateEntry:
    for key in table:
        if key not in _KEYS:
            raise ConfigurationError(
                f"entry {number} has {ascii(key)[:60]}, which means nothing", hint=f"it may have {', '.join(_KEYS)}"
            )
    if "rate" not in table:
        raise ConfigurationError(f"entry {number} has no rate", hint=_SHAPE)
    rate, what = table["rate"], f"the rate of entry {number}"
    if isinstance(rate, str):
        raise ConfigurationError(f"{what} is text, not a number: {ascii(rate)[:60]}", hint=_ENTRY_NUMBER)
    rate = checked_rate(rate, what, _ENTRY_NUMBER)
    return RateEntry(rate, _moment(table, "since", number), _moment(table, "until", number), _realms(table, number))


def _moment(table: dict[str, Any], key: str, number: int) -> datetime | None:
    """A date, or a date with a time; UTC where it has no offset."""
    told = table.get(key)
    try:
        if isinstance(told, datetime):
            return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
        if isinstance(told, date):
            return datetime(told.year, told.month, told.day, tzinfo=UTC)
    except OverflowError:  # the first and the last day of the calendar, with an offset
        pass
    if told is None:
        return None
    raise ConfigurationError(
        f"the {key} of entry {number} is no date: {ascii(told)[:60]}",
        hint=f"write it without quotes: {key} = 2026-07-08 or {key} = 2026-07-08T14:30:00Z",
    )


def _realms(table: dict[str, Any], number: int) -> tuple[str | None, ...]:
    named = [table["realm"]] if "realm" in table else []
    several = table.get("realms", [])
    if not isinstance(several, list) or ("realms" in table and not several):
        raise ConfigurationError(
            f"the realms of entry {number} are no list of names", hint='realms = ["a", "b"]; leave it out for all'
        )
    named += several
    if not all(isinstance(name, str) for name in named):
        raise ConfigurationError(
            f"a realm of entry {number} is no text", hint='realm = "acme"; null_realm = true is for rows without one'
        )
    if table.get("null_realm", True) is not True:
        raise ConfigurationError(
            f"the null_realm of entry {number} can only be true",
            hint="null_realm = true is for rows without a realm; leave it out otherwise",
        )
    return tuple(dict.fromkeys([*named, None] if "null_realm" in table else named))
