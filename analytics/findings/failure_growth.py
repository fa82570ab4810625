"""Which error codes fail more runs than before, since when, and whether that is over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from analytics import differences
from analytics.estimates import Estimate
from analytics.findings.sides import MICROSECOND, Runs, as_number, run_estimate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

WORTH_A_WORD = 0.005
"""Share of runs a code must fail to be the verdict; people are paged at one in a hundred."""

_BURST = 10
"""Failures a burst must have that is no large share of the whole window."""
_GROWTH = 1.3
"""Times the earlier rate: what is significant in a million runs may still be of no interest."""
_ALPHA = 1e-3
_MOST_PLACES = 250
"""Failures between which stretches are first compared; more are thinned out, and the start then placed exactly."""
_LIKELY = 7.35 / 2
"""Log-likelihood below the best at which a place is still plausible (95 %; Hansen, *Econometrica* 68, 2000, table 1)."""
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Growth:
    """A code that fails more runs than before.

    Attributes:
        code: The error code.
        count: Its failures in the episode: all that there were.
        start: The episode's first failure, a row number.
        low, high: Rows between which it began (95 %).
        stop: The row after its last failure when it is over; ``None`` while it goes on.
        p: Chance that nothing grew, corrected for the number of codes.
    """

    code: str
    count: int
    start: int
    low: int
    high: int
    stop: int | None
    p: float


def growing_codes(
    runs: Runs, scope: slice, inside: slice, until: datetime, *, baseline: pd.DataFrame | None = None
) -> list[Growth]:
    """Codes that grew, the one with the most failures first.

    A code grew if it fails more of the window's runs than of those before (two Poisson rates), or in a burst: a stretch in
    which its failures are denser than any stretch would be by chance.

    Args:
        runs: All rows.
        scope: The rows before the window that it is compared with, and the window's.
        inside: The window's rows.
        until: End of the window.
        baseline: Rows to compare with in place of those before the window.
    """
    codes = np.unique(runs.code[inside])
    codes = codes[codes >= 0]
    if len(codes) == 0:
        return []
    # An unknown weight is no reason for a clock that stands still for ever after.
    weight = np.nan_to_num(runs.weight[scope], nan=1.0)
    clock = np.cumsum(weight)
    earlier = runs.frame.iloc[scope.start : inside.start] if baseline is None else baseline
    sides = run_estimate(earlier), run_estimate(runs.frame.iloc[inside])
    days = max((as_number(until) - int(runs.time[inside.start])) / _DAY, 1.0)
    found = []
    for number in codes.tolist():
        hits = np.flatnonzero(runs.code[scope] == number)
        here = int((hits >= inside.start - scope.start).sum())
        before = len(hits) - here if baseline is None else int((baseline["error_code"] == runs.codes[number]).sum())
        more = _dispersion(runs.time[scope], weight, hits)
        start, stop, low, high, gain = _episode(clock, hits)
        share = here / sides[1].value
        p = _whole_p((before, here), sides, more)
        grew = before == 0 or sides[0].value <= 0 or share > _GROWTH * before / sides[0].value
        of_window = p < _ALPHA / len(codes) and share > WORTH_A_WORD and grew
        count = int(((hits >= start) & (hits < stop)).sum())
        whole = float(clock[min(stop, len(clock)) - 1] - clock[start])
        # Two ends among so many failures were looked at: Chernoff's bound for each, and their number.
        burst_p = min(1.0, math.exp(min(2 * math.log(max(len(hits), 2)) - gain / more, 0.0)))
        of_burst = (
            baseline is None
            and stop + scope.start > inside.start
            and count >= _BURST
            and burst_p < _ALPHA / 10 / len(codes)
            and count / max(whole, sides[1].value / days) > WORTH_A_WORD
        )
        if not (of_window or of_burst):
            continue
        last = int(hits[hits < stop].max())
        over = _is_over(runs.time[scope][hits[(hits >= start) & (hits < stop)]], until, stop < len(clock))
        offset = scope.start
        found.append(
            Growth(
                runs.codes[number],
                count,
                start + offset,
                low + offset,
                high + offset,
                last + 1 + offset if over else None,
                min(min(p, burst_p) * len(codes), 1.0),
            )
        )
    return sorted(found, key=lambda growth: -growth.count)


def _whole_p(counts: tuple[int, int], sides: tuple[Estimate, Estimate], more: float) -> float:
    """Chance that the rates are the same."""
    from scipy import stats

    if sides[1].value < 1:
        return 1.0
    if sides[0].value >= 1:
        p = differences.rate_change_p(counts, sides)
        return float(2 * stats.norm.sf(stats.norm.isf(max(p, 1e-300) / 2) / math.sqrt(more)))
    # Nothing before to compare with: more often than is worth a word at all.
    seen = max(round(sides[1].value), counts[1])
    return float(stats.binomtest(counts[1], seen, WORTH_A_WORD, alternative="greater").pvalue)


def _episode(
    clock: NDArray[np.float64], hits: NDArray[np.int64]
) -> tuple[int, int, int, int, float]:  # fmt: skip
    """The stretch of runs that two Poisson rates explain best: start, stop, plausible starts, log-likelihood gained.

    Runs are the clock, not hours, or every morning would look like a step.
    """
    count, whole = len(hits), max(float(clock[-1]), 1.0)
    places = np.unique(np.linspace(0, count - 1, min(count, _MOST_PLACES)).astype(np.int64))
    at = clock[hits[places]]
    # Closed stretches lie between two failures, so one of them says nothing of their rate.
    closed = _gain((places[None, :] - places[:, None]).astype(float), at[None, :] - at[:, None], count, whole)
    to_end = _gain((count - places).astype(float), whole - at, count, whole)
    first, last = np.unravel_index(int(np.argmax(closed)), closed.shape)
    ends = count >= 3 and closed[first, last] > to_end.max() + _LIKELY
    end = int(places[last]) if ends else count - 1
    every = np.arange(end + 1)
    inside = (end - every if ends else count - every).astype(float)
    limit = float(clock[hits[end]]) if ends else whole
    profile = _gain(inside, limit - clock[hits[every]], count, whole)
    best = int(np.argmax(profile))
    near = every[profile >= profile[best] - _LIKELY]
    start = int(hits[best])
    rate = max(inside[best] / max(limit - float(clock[start]), 1.0), 1e-12)
    # The cause may be older than its first failure: by so many runs that one in twenty such waits is longer.
    low = int(np.searchsorted(clock, float(clock[hits[near[0]]]) - 3 / rate))
    low = max(low, int(hits[near[0] - 1]) if near[0] > 0 else 0)
    stop = int(hits[end]) + 1 if ends else len(clock)
    return start, stop, min(low, start), int(hits[near[-1]]), float(max(profile[best], 0.0))


def _gain(
    inside: NDArray[np.float64], length: NDArray[np.float64], count: int, whole: float
) -> NDArray[np.float64]:  # fmt: skip
    """Log-likelihood of a higher rate within, over that of one rate."""
    length = np.clip(length, 1.0, max(whole - 1.0, 1.0))
    rest, rest_length = count - inside, np.maximum(whole - length, 1.0)
    rate = count / whole
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(inside > 0, inside * np.log(inside / length / rate), 0.0)
        second = np.where(rest > 0, rest * np.log(rest / rest_length / rate), 0.0)
    gain: NDArray[np.float64] = np.where((inside > 0) & (inside / length > rest / rest_length), first + second, 0.0)
    return gain


def _dispersion(time: NDArray[np.int64], weight: NDArray[np.float64], hits: NDArray[np.int64]) -> float:
    """How much more the days' failures vary than Poisson, around their median day; 1 at least.

    The median day, so that the episode itself is not taken for the habit.
    """
    days = time // _DAY
    days = days - days[0]
    runs = np.bincount(days, weights=weight)
    counts = np.bincount(days[hits], minlength=len(runs))
    usable = runs > 0
    if usable.sum() < 4:
        return 1.0
    rate = float(np.median(counts[usable] / runs[usable]))
    if rate <= 0:
        return 1.0
    squares = (counts[usable] - rate * runs[usable]) ** 2 / (rate * runs[usable])
    return max(1.0, float(np.median(squares)) / 0.4549)  # the median of chi-square with one degree of freedom


def _is_over(times: NDArray[np.int64], until: datetime, ends: bool) -> bool:
    """No failure for much longer than their usual gap."""
    if len(times) < 3:
        return False
    gap = int(times[-1] - times[0]) / (len(times) - 1) * MICROSECOND
    return bool(ends or (as_number(until) - int(times[-1])) * MICROSECOND > max(20 * gap, timedelta(hours=1)))
