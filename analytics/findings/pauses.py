"""Pauses in the arrival of logged rows that the usual rate of those hours does not explain.

Time is counted in usual rows: how many the same minutes of comparable days hold, brought down to how busy the hours around are
today. Counted so, pauses of a Poisson process have an exponential tail, whatever the rhythm of the day (time rescaling; Ogata,
*JASA* 83, 1988; Brown et al., *Neural Computation* 14, 2002). Rows that come in clumps lengthen the tail: it is measured on the
log's own pauses (excesses over a high threshold; Davison & Smith, *JRSS B* 52, 1990), without the longest, which may be what is
looked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimate import TAIL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

DAY = 1440
"""Minutes."""
CHANCE = 0.002
"""That anything is found in a window in which nothing is wrong, as the tail has it; a fifth of what is promised."""
DAYS = 14
"""How far comparable days may lie apart."""
_AROUND = 120
"""Minutes before and after a pause, at least, that say how busy a day is."""
_LEAST_PAUSES = 100
_TAIL = (10, 30, 500)
"""One pause in ten is of the tail, at least and at most so many."""
_MAY_BE_REAL = 6
"""The longest pauses, and one in ten of the tail: what they are is not taken for usual."""
_LEAST = (10.0, 5.0)
"""Rows that the emptiest comparable day must have had in those minutes; the second emptiest, where there are four."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch without a row.

    Attributes:
        start, stop: The minutes of the last row before and of the first one after; ``stop`` is the end where none came.
        is_open: None came.
        expected, low, high: Rows that are usual there, and 95 % of what single days hold.
        comparable: Days it rests on.
    """

    start: int
    stop: int
    is_open: bool
    expected: float
    low: float
    high: float
    comparable: int


@dataclass(frozen=True, slots=True)
class Minutes:
    """Logged rows by minute.

    Attributes:
        counts: Of each minute.
        held: Whether the lake holds that minute.
        first: Minutes from a Monday's midnight to the first one.
    """

    counts: Floats
    held: Bools
    first: int

    @property
    def is_weekend(self) -> Bools:
        """Of each minute."""
        found: Bools = (np.arange(self.first, self.first + len(self.counts)) // DAY % 7) >= 5
        return found


def pauses(minutes: Minutes, since: int, until: int) -> list[Pause] | None:
    """Those of a window that chance does not explain, in order of time.

    Args:
        minutes: Of the window and the days before it.
        since, until: Places of the window among them.

    Returns:
        ``None`` where it cannot be told: too few rows, or no two comparable days.
    """
    start, stop, is_open = _stretches(minutes)
    inside = (stop > since) & (start < until)
    usual = _usual(minutes, start, stop)
    days = np.isfinite(usual).sum(axis=1)
    known = days >= 2
    if known.sum() < _LEAST_PAUSES or not (known & inside).any():
        return None
    score = np.full(len(start), np.nan)
    score[known] = _scores(usual[known], days[known])
    tried = inside & known
    chance = _tail(score[known], score[tried]) * tried.sum()
    ranked = np.sort(np.where(np.isfinite(usual), usual, np.inf)[tried], axis=1)
    enough = np.where(days[tried] >= 4, ranked[:, 1] >= _LEAST[1], ranked[:, 0] >= _LEAST[0])
    found = np.flatnonzero(tried)[(chance < CHANCE) & enough]
    spans = [(int(start[i]), int(stop[i])) for i in found]
    return [
        _told(_without(minutes, spans, span), *span, bool(is_open[i])) for i, span in zip(found, spans, strict=True)
    ]


def _stretches(minutes: Minutes) -> tuple[Ints, Ints, Bools]:
    """From each minute with a row to the next one, where the lake holds all between; the last one ends where the lake does."""
    held = minutes.held
    taken = np.flatnonzero((minutes.counts > 0) & held)
    if len(taken) == 0:
        return taken, taken, taken.astype(bool)
    ends = _run_ends(held)[taken]  # of the stretch that the lake holds
    following = np.append(taken[1:], np.iinfo(np.int64).max)
    is_open = following >= ends
    # Where more is held later, days are missing between: coverage tells those.
    is_last = ends == ends[-1]
    usable = (~is_open | is_last) & (np.minimum(following, ends) > taken)
    return taken[usable], np.minimum(following, ends)[usable], is_open[usable]


def _run_ends(held: Bools) -> Ints:
    """Of each minute, where the held stretch that it is in ends (exclusive)."""
    gone = np.append(np.flatnonzero(~held), len(held))
    return gone[np.searchsorted(gone, np.arange(len(held)))]


def _run_starts(held: Bools) -> Ints:
    gone = np.append(-1, np.flatnonzero(~held))
    return gone[np.searchsorted(gone, np.arange(len(held)), side="right") - 1] + 1


def _usual(minutes: Minutes, start: Ints, stop: Ints, *, at_most: float = 1.0) -> Floats:
    """Rows of the same minutes of each comparable day, times how busy the hours around are; NaN where no day is comparable."""
    counts, held, weekend = minutes.counts, minutes.held, minutes.is_weekend
    length = len(counts)
    total = np.append(0.0, np.cumsum(np.where(held, counts, 0.0)))
    gone = np.append(0, np.cumsum(~held))
    first, last = _run_starts(held), _run_ends(held)
    a, b = start + 1, np.maximum(stop, start + 1)  # the minutes between
    b = np.where(b > a, b, a)
    near = np.maximum(_AROUND, b - a)
    low_here, high_here = np.maximum(a - near, first[start]), np.minimum(b + near, last[start])
    shifts = [k * DAY for k in range(-DAYS, DAYS + 1) if k and abs(k) * DAY < length]
    usual = np.full((len(start), len(shifts)), np.nan)
    for column, shift in enumerate(shifts):
        fits = np.flatnonzero((start + shift >= 0) & (b + shift + 1 <= length))
        x, y = start[fits], b[fits]
        same = (weekend[x] == weekend[x + shift]) & (weekend[y - 1] == weekend[y - 1 + shift])
        same &= gone[np.minimum(y + shift + 1, length)] == gone[x + shift]
        fits = fits[same]
        p, q = a[fits], b[fits]
        low = np.maximum(low_here[fits], first[start[fits] + shift] - shift)
        high = np.minimum(high_here[fits], last[start[fits] + shift] - shift)
        here = total[high] - total[low] - (total[q] - total[p])
        other = total[p + shift] - total[low + shift] + total[high + shift] - total[q + shift]
        # Half of the minutes at both ends: the rows there are part of what is between two rows.
        ends = (counts[np.maximum(p - 1 + shift, 0)] + counts[np.minimum(q + shift, length - 1)]) / 2
        between = total[q + shift] - total[p + shift] + ends
        usual[fits, column] = between * np.minimum((here + 1) / (other + 1), at_most)
    return usual


def _scores(usual: Floats, days: Ints) -> Floats:
    """The mean without the fullest day; of two days the emptier."""
    sums, most = np.nansum(usual, axis=1), np.nanmax(usual, axis=1)
    found: Floats = (sums - most) / (days - 1)
    return found


def _tail(scores: Floats, wanted: Floats) -> Floats:
    """Chance of one pause to be as long as each of the wanted: the least favourable of an early and a late threshold."""
    from scipy import special

    ranked, n = np.sort(scores), len(scores)
    chance = np.zeros(len(wanted))
    one_in, least, most = _TAIL
    for k in {least, min(max(n // one_in, least), most)}:
        apart = max(_MAY_BE_REAL, k // 10)
        threshold, excess = ranked[n - k - 1], ranked[n - k :] - ranked[n - k - 1]
        m = k - apart
        # Of the longest only that they are longer: a censored exponential sample, at the upper end of its mean's interval.
        total = float(excess[:m].sum() + apart * excess[m])
        mean = total / float(special.gammaincinv(m, 2 * TAIL))
        with np.errstate(over="ignore"):
            beyond = np.exp(-(wanted - threshold) / mean) if mean > 0 else np.where(wanted > threshold, 0.0, 1.0)
        chance = np.maximum(chance, np.minimum(beyond * k / n, 1.0))
    return chance


def _without(minutes: Minutes, spans: list[tuple[int, int]], own: tuple[int, int]) -> Minutes:
    """Without the minutes of the other pauses, on all days: how busy a day is, is not told by what it has lost."""
    counts = minutes.counts.copy()
    for start, stop in spans:
        for shift in range(-DAYS * DAY, (DAYS + 1) * DAY, DAY) if (start, stop) != own else ():
            counts[max(start + 1 + shift, 0) : max(stop + shift, 0)] = 0
    return replace(minutes, counts=counts)


def _told(minutes: Minutes, start: int, stop: int, is_open: bool) -> Pause:
    """How many rows are usual: the mean of comparable days, and what one more day would hold (95 %)."""
    from scipy import special

    usual = _usual(minutes, np.array([start]), np.array([stop]), at_most=math.inf)[0]
    usual = usual[np.isfinite(usual)]
    n, mean = len(usual), float(usual.mean())
    spread = math.sqrt(max(float(usual.var(ddof=1)), mean) * (1 + 1 / n))
    half = float(special.stdtrit(n - 1, 1 - TAIL)) * spread
    return Pause(start, stop, is_open, mean, max(mean - half, 0.0), mean + half, n)
