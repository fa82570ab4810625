"""Processes that two Prometheus servers scrape: a pair for high availability tells its series apart by a label of any name.

Counted one by one such series double every total. Two of them are one process when all other labels are the same and

- ``process_start_time_seconds`` is the same for both, where it was scraped; else
- they rise together: whenever one was scraped it shows what the other showed just before, then or just after, exactly that where
  the other stood still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.increments import PROCESS_LABELS

if TYPE_CHECKING:
    from analytics.samples import Series

OWN_LABELS = ("realm", "strategy_type", "status")
"""The engine's own; ``exported_`` in front where the scraping server has a label of that name itself."""

_LEAST_RISE = 20.0
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
        exported = {f"exported_{name}" for name in OWN_LABELS}
        unknown = sorted({name for one in runs for name in one.labels} - {*OWN_LABELS, *exported, *PROCESS_LABELS})
        ways = [frozenset({name}) for name in unknown] + ([frozenset(unknown)] if len(unknown) > 1 else [])
        found: list[frozenset[str]] = []
        for way in ways:
            if not any(way >= earlier for earlier in found) and _is_pair(runs, started, way):
                found.append(way)
        return cls(tuple(found))

    def one_of_each(self, series: Sequence[Series]) -> list[Series]:
        """Of series that differ in nothing else the one that covers most."""
        left = list(series)
        for way in self.labels:
            left = [max(group, key=_covers) for group in _groups(left, way)]
        return left

    @property
    def sentences(self) -> list[str]:
        """What a person should know."""
        return [
            f"series that differ in {' and '.join(sorted(way))} alone are the same processes, scraped twice: counted once"
            for way in self.labels
        ]


def _groups(series: Sequence[Series], way: frozenset[str]) -> list[list[Series]]:
    found: dict[frozenset[tuple[str, str]], list[Series]] = {}
    for one in series:
        found.setdefault(frozenset(item for item in one.labels.items() if item[0] not in way), []).append(one)
    return list(found.values())


def _covers(one: Series) -> tuple[float, int]:
    return float(one.times[-1] - one.times[0]), len(one.times)


def _is_pair(runs: Sequence[Series], started: Sequence[Series], way: frozenset[str]) -> bool:
    pairs = [group for group in _groups(runs, way) if len(group) > 1]
    if not pairs:
        return False
    begun = [group for group in _groups(started, way) if len(group) > 1]
    if begun:
        return all(abs(one.values[-1] - group[0].values[-1]) < 1 for group in begun for one in group)
    risen = 0.0
    for group in pairs:
        longest = max(group, key=_covers)
        for other in group:
            if other is longest:
                continue
            together = _risen_together(other, longest)
            if together is None:
                return False
            risen += together
    return risen >= _LEAST_RISE


def _risen_together(one: Series, other: Series) -> float | None:
    """How much one rose while the other did the same; ``None`` when they are two."""
    import numpy as np

    inside = (one.times >= other.times[0]) & (one.times <= other.times[-1])
    times, values = one.times[inside], one.values[inside]
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
