"""The stretch of logged rows in which failures are densest, beside what is usual, and what chance alone makes of it.

Under a steady failure rate ``f`` and a sampling rate ``s`` each logged row is a failure with probability
``q = f / (f + (1 − f)·s)``, whatever the row before it was: so rows are the clock, not hours, and not the runs that ok rows stand
for. A clock of runs stands nearly still between two failures without an ok row between them, and calls that an incident.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import significance
from analytics.findings.post_mortem.groups import strata

if TYPE_CHECKING:
    from analytics.estimates.arrays import Bools, Floats, Ints
    from analytics.findings.post_mortem.groups import RunColumns

_LEAST_DAYS, _LEAST_FAILURES = 4, 5
"""Days that must have so many usual failures each: of fewer the counts show no habit beside their own chance."""
_ALIKE = 0.1
"""Chance above which days, or quarters of the day, are taken to differ by chance alone."""
_KEPT, _OF_KEPT = 0.75, 0.368
"""Of the days' squares the largest quarter is not looked at, or an incident would pass for a habit; the others' mean by chance."""


@dataclass(frozen=True, slots=True)
class Habit:
    """Days that differ by more than chance.

    Attributes:
        variance: Of a day's rate, over the square of the usual one, beyond what chance makes of it; 0 for steady rates.
        a_day: Failures of a usual day.
        known: Days behind the variance, less one: how well it is known.
    """

    variance: float = 0.0
    a_day: float = 0.0
    known: float = math.inf

    def of_stretches(self, gains: Floats, usual: Floats) -> Floats:
        """Log-likelihoods that stretches gain over a steady rate, as what they gain over days of such a habit.

        A stretch of a day with ``E`` usual failures varies ``1 + E·variance`` times as much as by chance: a short one hardly more,
        one of several days no more than one day. The variance is known from few days, so the ratio has Student's t (Welch's
        degrees of freedom, *Biometrika* 34, 1947), brought back to a normal one.
        """
        if self.variance <= 0:
            return gains
        found = gains.copy()
        large = gains > 0
        more = self.variance * np.broadcast_to(np.minimum(usual, self.a_day), gains.shape)[large]
        chance = significance.student_log_tail(
            np.sqrt(2 * gains[large] / (1 + more)), self.known * ((1 + more) / more) ** 2
        )
        found[large] = np.maximum(_normal(chance), 0.0) ** 2 / 2
        return found

    def of_change(self, p: float, ratio: float, days: tuple[float, float]) -> float:
        """Chance of a change of rates between two times, from that of steady rates.

        Args:
            p: Two-sided, of steady rates.
            ratio: The later rate over the earlier.
            days: How many lie on either side.
        """
        if self.variance <= 0 or not 0 < ratio < math.inf or p >= 1 or min(days) <= 0:
            return p
        log = abs(math.log(ratio))
        own = (log / max(significance.normal_exceeded(max(p, 1e-300) / 2), 1e-9)) ** 2
        more = self.variance * sum(1 / max(count, 1.0) for count in days)
        return 2 * significance.student_tail(log / math.sqrt(own + more), self.known * ((own + more) / more) ** 2)


def _normal(log_chance: Floats) -> Floats:
    from scipy import special

    found: Floats = -special.ndtri_exp(log_chance)
    return found


def are_alike(seen: Floats, usual: Floats, rows: Floats) -> bool:
    """Whether groups of rows have as many failures as evenly shared ones would (Pearson's chi-square; 10 %)."""
    spread = usual * (1 - usual / rows)
    if len(seen) < 2 or not (spread > 0).all():
        return True
    return significance.chi_square_tail(float(((seen - usual) ** 2 / spread).sum()), len(seen) - 1) > _ALIKE


def habit(seen: Floats, usual: Floats, rows: Floats) -> Habit:
    """How the days' rates differ, around their median day.

    Args:
        seen: Failures of each day.
        usual: Those it would have, were they shared out evenly.
        rows: Its rows.
    """
    usable = usual >= _LEAST_FAILURES
    if usable.sum() < _LEAST_DAYS:
        return Habit()
    seen, usual, rows = seen[usable], usual[usable], rows[usable]
    if are_alike(seen, usual, rows):
        return Habit()
    usual = np.minimum(usual * float(np.median(seen / usual)), rows)
    spread = usual * (1 - usual / rows)
    if not (spread > 0).all():
        return Habit()
    kept = math.ceil(_KEPT * len(seen))
    # The largest squares are those of days with a habit, if there is one; what is small by chance says so too.
    more = float(np.sort((seen - usual) ** 2 / spread)[:kept].mean()) / _OF_KEPT
    a_day = float(np.median(usual))
    return Habit(max(more - 1, 0.0) * float(np.median(spread)) / a_day**2, a_day, kept - 1)


_SAME_RATE = math.log(1.25)
"""Weights that differ by less are of one rate: those that counters have corrected differ a little from hour to hour."""
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Kinds:
    """What rows have in common; made once for all codes.

    Attributes:
        rate: Number of the sampling rate at each row.
        quarter: Quarter of the day, UTC.
        day: Day, from the first one.
    """

    rate: Ints
    quarter: Ints
    day: Ints

    @classmethod
    def of(cls, runs: RunColumns, scope: slice) -> Kinds:
        """Of the rows of a scope."""
        time = runs.time[scope]
        ok = np.flatnonzero(runs.ok[scope])
        weight = np.maximum(np.nan_to_num(runs.weight[scope][ok], nan=1.0), 1.0)
        level = np.round(np.log(weight) / _SAME_RATE).astype(np.int64)
        rate = np.zeros(len(time), dtype=np.int64)
        if len(ok) and level.min() < level.max():
            # A failure weighs one at every rate: it is of the rate of the ok row that is nearest in time.
            middle = (time[ok[1:]] + time[ok[:-1]]) // 2
            rate = level[np.searchsorted(middle, time)]
            rate[ok] = level
        return cls(numbered(rate), strata(time, weekends=False), (time - time[0]) // _DAY if len(time) else time)


def numbered(kinds: Ints) -> Ints:
    """Small whole numbers as 0, 1, 2 … without gaps."""
    first = kinds - (kinds.min() if len(kinds) else 0)
    if not first.any():
        return first
    found: Ints = (np.cumsum(np.bincount(first) > 0) - 1)[first]
    return found


def shared_out(is_failure: Bools, kinds: Ints) -> Floats:
    """Failures that each kind of rows would have before each row, were they shared out evenly; one number more than rows."""
    share = np.bincount(kinds, weights=is_failure) / np.bincount(kinds)
    found: Floats = np.r_[0.0, np.cumsum(share[kinds])]
    return found


def by_group(is_failure: Bools, kinds: Ints, groups: Ints) -> tuple[Floats, Floats, Floats]:
    """Failures of each group of rows, those it would have were they shared out evenly within kinds, and its rows.

    Args:
        is_failure: Of each row.
        kinds: Of each row, ``numbered``.
        groups: Of each row; those without a row are left out.
    """
    many = int(kinds.max()) + 1 if len(kinds) else 1
    table = np.bincount(groups * many + kinds, minlength=(int(groups.max(initial=-1)) + 1) * many).reshape(-1, many)
    failed = np.bincount(groups[is_failure], minlength=len(table)).astype(float)
    held = table.sum(axis=1) > 0
    share = np.bincount(kinds[is_failure], minlength=many) / np.maximum(table.sum(axis=0), 1)
    return failed[held], (table @ share)[held], table.sum(axis=1)[held].astype(float)


LEAST = 10
"""Failures of a stretch; fewer are no incident, however near to each other."""
SEED = 20260708

_BLOCKS = 1000
"""The rows are looked at in so many blocks of equally many: a million rows cost what a few thousand do."""
_WIDEST = 16
"""Stretches are placed to an eighth of their length or better (Walther, *Ann. Stat.* 38, 2010, section 2)."""
_DRAWN, _ENOUGH, _AT_ONCE = (10, 40, 300), 3, 5
"""Series drawn, fewer where so many are as dense already: steady failures are left in peace soon; so many at once."""
_LEAST_GAIN = 3.7
"""What gains less is no stranger than one in three hundred even where nobody looked for it (chi-square, one degree)."""
_LIKELY = 7.35 / 2
"""Log-likelihood below the best at which a place is still plausible (95 %; Hansen, *Econometrica* 68, 2000, table 1)."""
_EULER = 0.5772


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows in which failures are densest.

    Attributes:
        start: Its first row, a failure.
        stop: The row after its last; the number of rows while it goes on.
        low, high: Rows between which it began (95 %).
        p: Chance that the densest stretch of steady failures is as dense.
        times: Odds of a failure in it, times those of all other rows.
    """

    start: int
    stop: int
    low: int
    high: int
    p: float
    times: float


def densest(is_failure: Bools, kinds: Ints, needed: int, own: Habit) -> Stretch | None:
    """The densest stretch: Kulldorff's Bernoulli scan (*Commun. Stat.* 26, 1997), looking everywhere paid for.

    The chance is that of the densest stretch of series in which each kind of rows has as many failures as were logged, at rows
    drawn by lot; its tail is that of the extreme-value distribution which fits them (Abrams et al., *Int. J. Health Geogr.* 9:61,
    2010).

    Args:
        is_failure: Of each row, oldest first.
        kinds: Rows of one kind are alike but for chance: sampled at one rate, at one kind of hour; ``numbered``.
        needed: The stretch must last beyond this row.
        own: How days differ by habit: stretches are less telling by as much.

    Returns:
        ``None`` where no ``LEAST`` failures lie closer together than all of them do.
    """
    n, hits = len(is_failure), np.flatnonzero(is_failure)
    if len(hits) < LEAST or len(hits) == n:
        return None
    expected = shared_out(is_failure, kinds)
    edges = np.unique(np.linspace(0, n, min(n, _BLOCKS) + 1).astype(np.int64))
    starts, stops = _stretches(len(edges) - 1)
    inside = edges[stops] > needed
    starts, stops = starts[inside], stops[inside]
    length, usual = edges[stops] - edges[starts], expected[edges[stops]] - expected[edges[starts]]
    seen = np.r_[0, np.cumsum(is_failure)][edges]
    table = own.of_stretches(_gains(seen[stops] - seen[starts], usual, length, len(hits), n), usual)
    best = int(np.argmax(table))
    if table[best] <= 0:
        return None
    start, stop, low, high = _placed(hits, expected, n, int(edges[starts[best]]), int(edges[stops[best]]))
    p = _chance(
        float(table[best]),
        is_failure,
        kinds,
        edges,
        lambda drawn: _most(drawn, starts, stops, usual, length, len(hits), n),
    )
    count = int(((hits >= start) & (hits < stop)).sum())
    return Stretch(start, stop, low, high, p, _times(count, stop - start, len(hits), n))


def _chance(gain: float, is_failure: Bools, kinds: Ints, edges: Ints, most: Callable[[Ints], Floats]) -> float:
    """How likely steady failures have a stretch that gains as much."""
    if gain < _LEAST_GAIN:
        return 1.0
    rng = np.random.default_rng(SEED)
    groups = []
    for kind in range(int(kinds.max()) + 1):
        rows = np.diff(np.r_[0, np.cumsum(kinds == kind)][edges])
        blocks = np.flatnonzero(rows)
        groups.append((blocks, rows[blocks], int((is_failure & (kinds == kind)).sum())))

    def by_chance(count: int) -> Floats:
        found = []
        for begin in range(0, count, _AT_ONCE):
            drawn = np.zeros((min(_AT_ONCE, count - begin), len(edges) - 1), dtype=np.int64)
            for blocks, rows, failures in groups:
                drawn[:, blocks] += rng.multivariate_hypergeometric(rows, failures, len(drawn), method="marginals")
            found.append(most(drawn))
        return np.concatenate(found)

    drawn = np.empty(0)
    for count in _DRAWN:
        drawn = np.r_[drawn, by_chance(count - len(drawn))]
        if (as_dense := int((drawn >= gain).sum())) >= _ENOUGH:
            return as_dense / len(drawn)
    # The tail of a log-likelihood falls no faster than exponentially with scale one; of few failures most series have none.
    beta = max(float(drawn.std()) * math.sqrt(6) / math.pi, 1.0)
    mode = float(drawn.mean()) - _EULER * beta
    return float(-math.expm1(-math.exp(min(-(gain - mode) / beta, 700.0))))


def _most(drawn: Ints, starts: Ints, stops: Ints, usual: Floats, length: Ints, count: int, n: int) -> Floats:
    """The most that any stretch gains, of each series of block counts."""
    whole = np.concatenate([np.zeros((len(drawn), 1), dtype=np.int64), np.cumsum(drawn, axis=1)], axis=1)
    found: Floats = _gains(whole[:, stops] - whole[:, starts], usual, length, count, n).max(axis=1)
    return found


def _stretches(count: int) -> tuple[Ints, Ints]:
    """First block and the block after the last of every stretch that is looked at; those to the end all."""
    starts, stops = [np.arange(count)], [np.full(count, count)]
    step, first = 1, 1
    while step * first < count:
        for width in range(first, _WIDEST + 1):
            at = np.arange(0, count - width * step + 1, step)
            starts.append(at)
            stops.append(at + width * step)
        step, first = 2 * step, _WIDEST // 2 + 1
    return np.concatenate(starts), np.concatenate(stops)


def _gains(inside: Ints, usual: Floats, length: Ints, count: int, n: int) -> Floats:
    """Log-likelihood of more failures within a stretch, over that of the usual ones.

    Args:
        inside: Failures of each stretch, in one series or several.
        usual: Failures that its kinds of rows would have.
        length: Its rows.
        count, n: All failures, all rows.
    """
    beyond = inside - usual
    # Within two standard errors nothing is the densest of thousands: only the others are worth their logarithms.
    spread = usual * (1 - usual / np.maximum(length, 1)) * (1 - length / n)
    wanted = (inside >= LEAST) & (beyond > 0) & (beyond**2 > 4 * spread)
    found = np.zeros(inside.shape)
    o, e, m = (np.broadcast_to(values, inside.shape)[wanted].astype(float) for values in (inside, usual, length))
    found[wanted] = (
        _term(o, e) + _term(m - o, m - e) + _term(count - o, count - e) + _term(n - m - count + o, n - m - count + e)
    )
    return found


def _term(seen: Floats, usual: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(seen > 0, seen * np.log(seen / np.maximum(usual, 1e-12)), 0.0)
    return found


def _placed(hits: Ints, expected: Floats, n: int, start: int, stop: int) -> tuple[int, int, int, int]:
    """The best rows near a stretch of blocks, and the rows at which it may have begun."""

    def gains(first: Ints, after: Ints) -> Floats:
        inside = np.searchsorted(hits, after) - np.searchsorted(hits, first)
        return _gains(inside, expected[after] - expected[first], after - first, len(hits), n)

    to_end = np.full(len(hits), n)
    open_gain = float(gains(hits, to_end).max())
    for _ in range(2):
        later = hits[hits >= start] + 1
        after = gains(np.full(len(later), start), later)
        stop = int(later[np.argmax(after)])
        earlier = hits[hits < stop]
        profile = gains(earlier, np.full(len(earlier), stop))
        start = int(earlier[np.argmax(profile)])
    # That it goes on is the simpler story where it is nearly as good.
    if float(profile.max()) <= open_gain + _LIKELY:
        stop, earlier, profile = n, hits, gains(hits, to_end)
        start = int(hits[np.argmax(profile)])
    near = np.flatnonzero(profile >= profile.max() - _LIKELY)
    # The cause may be older than its first failure: by so many rows that one in twenty such waits is longer.
    share = float((hits >= start).sum() - (hits >= stop).sum()) / (stop - start)
    first = int(earlier[near[0]])
    low = max(first - math.ceil(3 / share), int(earlier[near[0] - 1]) if near[0] > 0 else 0)
    return start, stop, min(low, start), int(earlier[near[-1]])


def _times(inside: int, length: int, count: int, n: int) -> float:
    """Odds within, times those of the rest."""
    rest, failures = n - length, count - inside
    if failures == 0 or length == inside:
        return math.inf
    return inside / (length - inside) * (rest - failures) / failures
