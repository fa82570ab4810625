"""Sampling rates: which fraction of the ok runs the engine logged, since when, and for which tenants.

The rate is not in the rows. It changes when the engine is deployed anew, and may differ between deployments, so it is written
down in a small file (see ``rate_entries``) or given as one number.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from analytics.errors import ConfigurationError
from analytics.window import ONE_DAY

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bools, Floats, Ints

Table: TypeAlias = dict[str, Any]
"""A table of TOML: what it says is looked at before it is taken."""
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


def check_rate_entries(entries: tuple[RateEntry, ...]) -> None:
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


def read_rate_entries(path: str | Path) -> tuple[RateEntry, ...]:
    """The entries of a file, in its order.

    Raises:
        ConfigurationError: It cannot be read, is no TOML, says nothing, or says something that cannot be.
    """
    import tomllib

    try:
        entries = tuple(_entries(tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))))
        check_rate_entries(entries)
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


def _entries(told: Table) -> Iterator[RateEntry]:
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


def _entry(table: Table, number: int) -> RateEntry:
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


def _moment(table: Table, key: str, number: int) -> datetime | None:
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


def _realms(table: Table, number: int) -> tuple[str | None, ...]:
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


DEFAULT_SAMPLE_RATE = 0.05
"""The engine's own default of ``DSL_EXECUTION_LOG_SAMPLE_RATE``."""


@dataclass(frozen=True, slots=True)
class RateStep:
    """A rate, and from when on it was in force; ``since`` is ``None`` for the first of several steps."""

    since: datetime | None
    rate: float


def described(steps: Iterable[RateStep]) -> str:
    """Steps as people read them: ``0.05, 0.2 since 2026-07-08T14:30:00Z``."""
    return ", ".join(f"{step.rate!r}{f' since {spelled(step.since)}' if step.since else ''}" for step in steps)


@dataclass(frozen=True, slots=True)
class _Timeline:
    """One tenant's rates: ``rates[i]`` holds from ``starts[i - 1]`` on, the first one ever before.

    Attributes:
        starts: Microseconds since the epoch, ascending.
        rates: One more than starts.
        defaulted: Of each rate, whether it is the engine's default that nobody said.
    """

    starts: list[int]
    rates: list[float]
    defaulted: list[bool]

    def places(self, day: date | None) -> range:
        """Which of the rates are in force within a UTC day; the last one for rows without a time."""
        if day is None:
            return range(len(self.starts), len(self.starts) + 1)
        start = microseconds(datetime.combine(day, time(), UTC))
        return range(bisect_right(self.starts, start), bisect_left(self.starts, start + ONE_DAY // MICROSECOND) + 1)


@dataclass(frozen=True)
class Rates:
    """Which rate holds for whom and when.

    For a row, the entries that name its tenant and hold at its ``created_at`` decide, the one with the latest ``since`` of
    them; without one, the entries for every tenant, likewise; without any, ``otherwise``. A row without a usable
    ``created_at`` has the rate that is in force last.

    Attributes:
        entries: What was said; no two of one tenant, or of every tenant, with the same ``since``.
        otherwise: The rate where no entry holds.
        otherwise_is_default: Nobody said that one: it is the engine's own default.

    Raises:
        ConfigurationError: A rate is out of range, an entry ends before it begins, two contradict each other.
    """

    entries: tuple[RateEntry, ...]
    otherwise: float
    otherwise_is_default: bool = False

    def __post_init__(self) -> None:
        checked_rate(self.otherwise)
        check_rate_entries(self.entries)

    @classmethod
    def read(cls, path: str | Path, *, otherwise: float, otherwise_is_default: bool = False) -> Rates:
        """The rates of a file.

        Args:
            path: A TOML file, see ``rate_entries``.
            otherwise: The rate where no entry of the file holds.
            otherwise_is_default: Nobody said that one.

        Raises:
            ConfigurationError: The file cannot be read, is no TOML, or says something that cannot be.
        """
        return cls(read_rate_entries(path), otherwise, otherwise_is_default)

    def rates_at(self, realm: str | None, times: Ints, usable: Bools) -> Floats:
        """The rate of each of a tenant's rows.

        Args:
            realm: The tenant.
            times: Of the rows, int64, microseconds since the epoch.
            usable: Which of them are times; a row without one has the rate that is in force last.

        Returns:
            An array of float64, as long as ``times``.
        """
        import numpy as np

        line = self._timeline(realm)
        if not line.starts:
            return np.full(len(times), line.rates[0])
        found = np.array(line.rates)[np.searchsorted(np.array(line.starts, np.int64), times, side="right")]
        found[~usable] = line.rates[-1]
        return found

    def of_day(self, realm: str | None, day: date | None) -> tuple[RateStep, ...]:
        """The rates in force within a tenant's UTC day, in order of time; ``None`` is the day of rows without a time."""
        line = self._timeline(realm)
        steps: list[RateStep] = []
        for place in line.places(day):
            rate = line.rates[place]
            if not steps:
                steps.append(RateStep(None, rate))
            elif rate != steps[-1].rate:
                steps.append(RateStep(EPOCH + line.starts[place - 1] * MICROSECOND, rate))
        return tuple(steps)

    def is_defaulted(self, realm: str | None, day: date | None) -> bool:
        """For some time of the day nobody has said the tenant's rate, and the engine's default stands in."""
        line = self._timeline(realm)
        return any(line.defaulted[place] for place in line.places(day))

    @property
    def may_default(self) -> bool:
        """For some tenant, at some time, nobody has said a rate."""
        return any(any(line.defaulted) for line in (self._common, *self._named.values()))

    def __str__(self) -> str:
        default = ", the engine's default" if self.otherwise_is_default else ""
        if not self.entries:
            return f"{self.otherwise!r}{default}"
        rest = f"otherwise {self.otherwise!r}{default}"
        return "; ".join([*map(str, self.entries), rest])

    def _timeline(self, realm: str | None) -> _Timeline:
        return self._named.get(realm, self._common)

    @cached_property
    def _common(self) -> _Timeline:
        """Of every tenant that no entry names."""
        return self._line([])

    @cached_property
    def _named(self) -> dict[str | None, _Timeline]:
        own: dict[str | None, list[RateEntry]] = {}
        for entry in self.entries:
            for realm in entry.realms:
                own.setdefault(realm, []).append(entry)
        return {realm: self._line(entries) for realm, entries in own.items()}

    def _line(self, own: list[RateEntry]) -> _Timeline:
        """Between two neighbouring ends of entries nothing changes: look once in each gap."""
        scopes = [[(*entry.span, entry.rate) for entry in own]]
        scopes.append([(*entry.span, entry.rate) for entry in self.entries if not entry.realms])
        ends = {end for scope in scopes for start, until, _ in scope for end in (start, until)}
        line = _Timeline([], [], [])
        for moment in (EVER[0], *sorted(ends - set(EVER))):
            rate, defaulted = self.otherwise, self.otherwise_is_default
            for scope in scopes:
                if holding := [(start, rate) for start, until, rate in scope if start <= moment < until]:
                    rate, defaulted = max(holding)[1], False
                    break
            if not line.rates or (rate, defaulted) != (line.rates[-1], line.defaulted[-1]):
                if line.rates:
                    line.starts.append(moment)
                line.rates.append(rate)
                line.defaulted.append(defaulted)
        return line
