"""Whether one measure of a run (points, duration) moved: with a version, or at a moment without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics import estimates
from analytics.findings.change_points import LEAST_ROWS, ChangePoint, change_point
from analytics.findings.rank_tests import ranks, ranks_within, strata, two_groups_p

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.sides import Bools, Floats, Ints, Runs

DAY = 86_400_000_000
_WITHIN = 0.005
"""Chance below which a change is held to be there within single versions too."""
_TAILS = (0.9, 0.97)
"""Runs slower than these quantiles are the tail: one run in ten that turns slow does not move the median."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of some runs, in ways a change may show.

    Attributes:
        usable: The run has it. Grain: logged run.
        scores: Each way: a number per run, bounded, so that one huge value is one row; zero where not usable.
        kinds: Kind of hour.
        days: Day.
    """

    usable: Bools
    scores: tuple[Floats, ...]
    kinds: Ints
    days: Ints


def of_points(runs: Runs, region: slice) -> Measure:
    """Points per run: as they are, and within each case (another amount shows in every run of the case)."""
    rows = region.start + np.flatnonzero(runs.paid[region])
    points = runs.points[rows]
    return _measure(runs, runs.paid, rows, (ranks(points), ranks_within(points, runs.case[rows])))


def of_duration(runs: Runs, region: slice) -> Measure:
    """Duration of ok runs: as it is, and whether it is in the tail."""
    usable = runs.ok & np.isfinite(runs.duration)
    rows = region.start + np.flatnonzero(usable[region])
    ranked = ranks(runs.duration[rows])
    return _measure(runs, usable, rows, (ranked, *((ranked > tail - 0.5).astype(float) for tail in _TAILS)))


def _measure(runs: Runs, usable: Bools, rows: Ints, scores: tuple[Floats, ...]) -> Measure:
    spread = []
    for score in scores:
        whole = np.zeros(len(runs.time))
        whole[rows] = score
        spread.append(whole)
    return Measure(usable, tuple(spread), strata(runs.time), runs.time // DAY)


def moved_p(measure: Measure, before: Ints, after: Ints) -> tuple[float, float]:
    """Whether two groups of rows differ, in any way: signed standard errors of the clearest, and the chance (Bonferroni)."""
    before, after = before[measure.usable[before]], after[measure.usable[after]]
    rows = np.concatenate([before, after])
    is_after = np.arange(len(rows)) >= len(before)
    found = [two_groups_p(s[rows], is_after, measure.kinds[rows], measure.days[rows]) for s in measure.scores]
    z, p = min(found, key=lambda item: item[1])
    return z, min(1.0, p * len(found))


def moment(
    measure: Measure, scope: slice, earliest: int, needed: int, *, alpha: float, rhythm: bool = True
) -> ChangePoint | None:
    """The stretch in which the measure differs most, as row numbers of all runs.

    Args:
        measure: What to look at.
        scope: Rows to look through.
        earliest: First row at which it may start.
        needed: It must last beyond this row.
        alpha: Largest chance to report, for all ways together.
        rhythm: Leave aside what the kind of hour explains.
    """
    rows = scope.start + np.flatnonzero(measure.usable[scope])
    first, beyond = np.searchsorted(rows, [earliest, needed])
    # A stretch that the series begins with is told by its end: what came then is the change.
    first = max(first, LEAST_ROWS)
    best: ChangePoint | None = None
    for scores in measure.scores:
        kinds = measure.kinds[rows] if rhythm else np.zeros(len(rows), dtype=np.int64)
        days = measure.days[rows]
        found = change_point(scores[rows], kinds, days, int(first), int(beyond), alpha=alpha / len(measure.scores))
        if found is not None and (best is None or (found.p, -found.strength) < (best.p, -best.strength)):
            best = found
    if best is None:
        return None
    stop = int(rows[best.stop - 1]) + 1 if best.stop < len(rows) else scope.stop
    return ChangePoint(
        int(rows[best.start]), stop, int(rows[best.low]), int(rows[best.high]), best.strength, best.p
    )  # fmt: skip


def holds_within(measure: Measure, scope: slice, found: ChangePoint, labels: Ints) -> bool:
    """Whether the measure moved at that moment within single versions: if not, the versions explain it."""
    rows = scope.start + np.flatnonzero(measure.usable[scope])
    is_after = (rows >= found.start) & (rows < found.stop)
    ways = [two_groups_p(s[rows], is_after, labels[rows], measure.days[rows]) for s in measure.scores]
    return min(p for _, p in ways) * len(ways) < _WITHIN


def typical_and_slow(rows: pd.DataFrame) -> list[estimates.Estimate]:
    """Median and 95th percentile of the duration of ok runs."""
    ok = (rows["status"] == "ok").to_numpy(bool)
    duration, weight = rows["duration_ms"].to_numpy(float)[ok], rows["sample_weight"].to_numpy(float)[ok]
    return estimates.quantiles(duration, weight, (0.5, 0.95), future=True)
