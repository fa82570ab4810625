"""How much a counter grew in each hour of a window, from samples taken at any times and of several replicas.

A process that starts anew counts from 0. Where a querier takes each sample from one of two Prometheus servers, or a server lags, a
counter falls a little and goes on, or falls and is back a moment later, although its process has run all the time; and each
such fall, taken for a restart, would count everything once more: `without_setbacks` undoes those.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from analytics.source.counters.series import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analytics.estimates.arrays import Floats
    from analytics.source.counters.series import Series

    Flags = NDArray[np.bool_]

BACK_AFTER = 300.0
"""Seconds within which a counter that did not start anew is back: two servers disagree for a few scrapes, not for long."""
SMALL = 8.0
"""A fall of less than one in so many is small. VictoriaMetrics draws the line for its `increase` there, too."""
_LEAST_STEPS = 30
"""Rises below which nobody knows what an ordinary rate is; falls are then restarts."""
_ORDINARY, _FASTER, _SOON = 0.9, 10.0, 20.0
"""A new process may count ten times as fast as nine in ten steps of the old one, and twenty runs at once."""


def without_setbacks(series: Series) -> tuple[Series, int]:
    """The counter as its process would have shown it, and how many falls were none of a restart.

    A fall is a restart, unless the process would have had to count more than it can since: all that it showed before where it is
    back within five minutes, all that it still shows where the fall is small.

    Args:
        series: As it was scraped.
    """
    import numpy as np

    times, values = series.times, series.values.copy()
    falls = np.flatnonzero(np.diff(values) < 0) + 1
    rate = _ordinary_rate(times, values) if len(falls) else None
    if rate is None:
        return series, 0
    count = 0
    for fall in map(int, falls):
        before, now = values[fall - 1], values[fall]
        if now >= before:  # corrected with an earlier one
            continue
        soon = int(np.searchsorted(times, times[fall - 1] + BACK_AFTER, side="right"))
        back = fall + int(np.argmax(np.append(values[fall:soon] >= before, True)))
        if back < soon and before > _SOON + _FASTER * rate * (times[back] - times[fall - 1]):
            values[fall:back] = before
        elif (before - now) * SMALL < before and now > _SOON + _FASTER * rate * (times[fall] - times[fall - 1]):
            anew = np.flatnonzero(np.diff(values[fall:]) < 0)
            values[fall : fall + 1 + int(anew[0]) if len(anew) else None] += before - now
        else:
            continue
        count += 1
    return replace(series, values=values), count


def _ordinary_rate(times: Floats, values: Floats) -> float | None:
    """What nine in ten rises stay below, per second; ``None`` where there are too few to tell."""
    import numpy as np

    steps = np.diff(values)
    rates = (steps / np.diff(times))[steps > 0]
    return float(np.quantile(rates, _ORDINARY)) if len(rates) >= _LEAST_STEPS else None


ONE_HOUR = timedelta(hours=1)
GAP = 3600.0
"""Seconds between two samples above which the hours between are interpolated rather than measured."""
MARGIN = 900.0
"""Seconds within which processes that run already come into sight when reading begins."""

PROCESS_LABELS = ("cluster", "namespace", "job", "pod", "instance", "exported_job", "exported_instance")
"""Labels that tell processes apart; ``exported_`` are those of the server that another one reads."""


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of a window; the first and the last may be parts of one.

    Attributes:
        starts: The full UTC hour each begins in.
        edges: Seconds since 1970, one more than hours.
    """

    starts: Sequence[datetime]
    edges: Floats

    @classmethod
    def of(cls, since: datetime, until: datetime) -> Hours:
        """The hours that ``since <= t < until`` touches."""
        import numpy as np

        first = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        starts = [first]
        while starts[-1] + ONE_HOUR < until:
            starts.append(starts[-1] + ONE_HOUR)
        inner = [start.timestamp() for start in starts[1:]]
        return cls(starts, np.array([since.timestamp(), *inner, until.timestamp()]))

    def touched(self, start: float, end: float) -> Flags:
        """Hours that share some time with a span."""
        return (self.edges[:-1] < end) & (self.edges[1:] > start)

    def covered(self, spans: Iterable[tuple[float, float]]) -> Floats:
        """Seconds of each hour that lie in at least one of the spans."""
        import numpy as np

        seconds = np.zeros(len(self.starts))
        reached = -np.inf
        for start, end in sorted(spans):
            begin = max(start, reached)
            if end > begin:
                seconds += np.clip(np.minimum(end, self.edges[1:]) - np.maximum(begin, self.edges[:-1]), 0, None)
            reached = max(reached, end)
        return seconds


@dataclass(frozen=True, slots=True)
class Growth:
    """What one counter, or the sum of several, grew by in each hour, and where that is interpolated over a gap."""

    amount: Floats
    is_interpolated: Flags

    def __add__(self, other: Growth) -> Growth:
        return Growth(self.amount + other.amount, self.is_interpolated | other.is_interpolated)


def process(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The process a series belongs to, by the labels that tell processes apart."""
    return tuple(labels.get(name, "") for name in PROCESS_LABELS)


def process_name(labels: Mapping[str, str]) -> str:
    """A process in words."""
    return printable(", ".join(part for part in process(labels) if part) or "the process", 120)


@dataclass(slots=True)
class Births:
    """Decides whether the first value of a series was counted before our eyes, and since when.

    A series begins with the first run of its kind in a process. So it counts from 0

    - when its process had been scraped before, for at least 15 minutes of what was read: since the last scrape,
    - when its process is new: since it started, where ``process_start_time_seconds`` says so; without that, a process is new
      when others had been scraped before for at least 15 minutes: since the last scrape of any.

    Else it may have counted for days, and what it shows first is where it counts on from.

    Attributes:
        since, until: The window, seconds since 1970; a process that started long before it is not new.
        late: Processes that were seen late although they are not new.
        assumed: Growth that rests on nothing but others having been scraped before, by process.
    """

    since: float
    until: float
    scrapes: dict[tuple[str, ...], Floats]
    all_scrapes: Floats
    started: Mapping[tuple[str, ...], Series]
    late: list[str] = field(default_factory=list)
    assumed: dict[str, float] = field(default_factory=dict)

    @classmethod
    def among(cls, series: Iterable[Series], started: Iterable[Series], hours: Hours) -> Births:
        """Collect when each process was scraped, and when it started."""
        import numpy as np

        times: dict[tuple[str, ...], list[Floats]] = {}
        for counter in series:
            times.setdefault(process(counter.labels), []).append(counter.times)
        scrapes = {key: np.unique(np.concatenate(parts)) for key, parts in times.items()}
        everything = np.unique(np.concatenate(list(scrapes.values()))) if scrapes else np.zeros(0)
        return cls(
            float(hours.edges[0]),
            float(hours.edges[-1]),
            scrapes,
            everything,
            {process(counter.labels): counter for counter in started},
        )

    def of(self, series: Series) -> float | None:
        """When the series was 0, in seconds since 1970; ``None`` when nobody knows."""
        import numpy as np

        first = float(series.times[0])
        times = self.scrapes[process(series.labels)]
        if times[0] < first - MARGIN:
            return float(times[np.searchsorted(times, first) - 1])
        starts = self.started.get(process(series.labels))
        if starts is not None:
            # The latest start that was known by then: the same address may have had several processes.
            at = max(int(np.searchsorted(starts.times, first, side="right")) - 1, 0)
            began = float(starts.values[at])
            if began >= self.since - MARGIN:
                return min(began, first - 0.001)  # clocks differ
            if self.all_scrapes[0] < first - MARGIN and self.since < first < self.until:
                self.late.append(process_name(series.labels))
            return None
        if self.all_scrapes[0] < first - MARGIN:
            name = process_name(series.labels)
            self.assumed[name] = self.assumed.get(name, 0.0) + (
                float(series.values[0]) if self.since < first < self.until else 0.0
            )
            return float(self.all_scrapes[np.searchsorted(self.all_scrapes, first) - 1])
        return None

    def anew(self, series: Series) -> tuple[Flags, Floats]:
        """Between which samples of a series its process has started, and when it was scraped last before the second of them.

        A series that is away for longer than Prometheus looks back, while its process shows others, was of a process that ended;
        where ``process_start_time_seconds`` is scraped it must say so, too. (That alone would not do: a value is carried on for as
        long as Prometheus looks back, beside the start of the next process.)
        """
        import numpy as np

        times = series.times
        scrapes = self.scrapes[process(series.labels)]
        seen = scrapes[np.maximum(np.searchsorted(scrapes, times[1:]) - 1, 0)]
        starts = self.started.get(process(series.labels))
        is_away = seen - times[:-1] > BACK_AFTER
        if starts is None or starts.times[0] > times[0] + MARGIN:
            return is_away, seen
        at = np.maximum(np.searchsorted(starts.times, times, side="right") - 1, 0)
        return is_away & (np.abs(np.diff(starts.values[at])) > 1), seen


def growth(series: Series, births: Births, hours: Hours) -> Growth:
    """What a counter grew by in each hour.

    A value below the one before means that the process has started anew, and so does a series that was away while its process was
    scraped (it begins with the first run of its kind): all of the new value is growth then, since the last scrape. Between two
    samples a counter is taken to grow evenly. Before the first sample (or the birth) and after the last it does not grow.
    """
    import numpy as np

    times, values, birth = series.times, series.values, births.of(series)
    steps = np.diff(values)
    is_anew, seen = births.anew(series)
    is_anew |= steps < 0
    total = np.concatenate([[0.0], np.cumsum(np.where(is_anew, values[1:], steps))])
    quiet = np.flatnonzero(is_anew & (seen > times[:-1]))
    times, total = np.insert(times, quiet + 1, seen[quiet]), np.insert(total, quiet + 1, total[quiet])
    if birth is not None:
        times = np.concatenate([[birth], times])
        total = np.concatenate([[0.0], total + values[0]])
    is_interpolated = np.zeros(len(hours.starts), dtype=bool)
    for at in np.flatnonzero((np.diff(times) > GAP) & (np.diff(total) > 0)):
        is_interpolated |= hours.touched(times[at], times[at + 1])
    return Growth(np.diff(np.interp(hours.edges, times, total)), is_interpolated)


def restarts(series: Series) -> int:
    """How often a counter fell."""
    import numpy as np

    return int(np.count_nonzero(np.diff(series.values) < 0))


def spans_of_hours(starts: Sequence[datetime]) -> str:
    """Hours in words, neighbours together: ``2026-07-08 02:00 to 05:00``."""
    words = []
    for _, group in itertools.groupby(enumerate(starts), key=lambda pair: pair[1] - pair[0] * ONE_HOUR):
        hours = [hour for _, hour in group]
        end = hours[-1] + ONE_HOUR
        words.append(
            f"{hours[0]:%Y-%m-%d %H:%M} to {end:{'%H:%M' if end.date() == hours[0].date() else '%Y-%m-%d %H:%M'}}"
        )
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more spans" if len(words) > 5 else "")


ENGINE_LABELS = ("realm", "strategy_type", "status")
"""The engine's own; ``exported_`` in front where the scraping server has a label of that name itself."""

LEAST_RISE = 20.0
"""Runs that must have been counted for rising together to show anything."""
_MOST_OFF = 0.02
"""Share of samples that may not fit: scrapes come late, and processes start anew."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Labels that tell scrapers apart instead of processes.

    Attributes:
        labels: Their names; each entry is one way of telling a pair apart, by one label or several.
    """

    labels: tuple[frozenset[str], ...] = ()

    @classmethod
    def among(cls, runs: Sequence[Series], started: Sequence[Series]) -> Replicas:
        """Look for them.

        Args:
            runs: The counters of runs.
            started: When processes started, as far as it was scraped.
        """
        exported = {f"exported_{name}" for name in ENGINE_LABELS}
        unknown = sorted(
            {name for counter in runs for name in counter.labels} - {*ENGINE_LABELS, *exported, *PROCESS_LABELS}
        )
        ways = [frozenset({name}) for name in unknown] + ([frozenset(unknown)] if len(unknown) > 1 else [])
        labels: list[frozenset[str]] = []
        for way in ways:
            if not any(way >= earlier for earlier in labels) and _is_pair(runs, started, way):
                labels.append(way)
        return cls(tuple(labels))

    def one_of_each(self, series: Sequence[Series]) -> list[Series]:
        """Of series that differ in nothing else the one that covers most."""
        remaining = list(series)
        for way in self.labels:
            remaining = [max(group, key=covers) for group in _groups(remaining, way)]
        return remaining

    @property
    def sentences(self) -> list[str]:
        """What a person should know."""
        return [
            f"series that differ in {' and '.join(sorted(way))} alone are the same processes, scraped twice: counted once"
            for way in self.labels
        ]


def _groups(series: Sequence[Series], way: frozenset[str]) -> list[list[Series]]:
    groups: dict[frozenset[tuple[str, str]], list[Series]] = {}
    for counter in series:
        groups.setdefault(frozenset(item for item in counter.labels.items() if item[0] not in way), []).append(counter)
    return list(groups.values())


def covers(series: Series) -> tuple[float, int]:
    """How long a series goes, in seconds, and how many samples it has."""
    return float(series.times[-1] - series.times[0]), len(series.times)


def _is_pair(runs: Sequence[Series], started: Sequence[Series], way: frozenset[str]) -> bool:
    pairs = [group for group in _groups(runs, way) if len(group) > 1]
    if not pairs:
        return False
    begun = [group for group in _groups(started, way) if len(group) > 1]
    if begun:
        return all(abs(counter.values[-1] - group[0].values[-1]) < 1 for group in begun for counter in group)
    risen = 0.0
    for group in pairs:
        longest = max(group, key=covers)
        for other in group:
            if other is longest:
                continue
            together = risen_together(other, longest)
            if together is None:
                return False
            risen += together
    return risen >= LEAST_RISE


def risen_together(series: Series, other: Series) -> float | None:
    """How much one rose while the other did the same; ``None`` when they are of two processes."""
    import numpy as np

    inside = (series.times >= other.times[0]) & (series.times <= other.times[-1])
    times, values = series.times[inside], series.values[inside]
    if not len(times):
        return 0.0
    at = np.searchsorted(other.times, times, side="right") - 1
    around = np.stack([other.values[np.clip(at + step, 0, len(other.values) - 1)] for step in (-1, 0, 1, 2)])
    is_falling = np.diff(around, axis=0).min(axis=0) < 0  # started anew
    low, high = around[0], around[-1]
    fits = ((values >= low) & (values <= high)) | is_falling
    if np.mean(~fits) > _MOST_OFF:
        return None
    return float(np.clip(np.diff(values), 0, None).sum())
