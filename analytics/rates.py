"""Sampling rates: which fraction of the ok runs the engine logged, since when, and for which tenants.

The rate is not in the rows. It changes when the engine is deployed anew, and may differ between deployments, so it is written
down in a small file (see ``rate_entries``) or given as one number.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import Any

from analytics import rate_entries
from analytics.rate_entries import EPOCH, EVER, MICROSECOND, RateEntry, checked_rate, microseconds, spelled
from analytics.window import ONE_DAY

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
        rate_entries.check(self.entries)

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
        return cls(rate_entries.read(path), otherwise, otherwise_is_default)

    def rates_at(self, realm: str | None, times: Any, usable: Any) -> Any:
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
