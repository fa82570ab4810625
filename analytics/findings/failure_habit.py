"""How much a code's failure rate differs from day to day by habit, so that a bad day among bad days is no incident."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from analytics.findings.sides import Floats

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
        from scipy import stats

        found = gains.copy()
        large = gains > 0
        more = self.variance * np.broadcast_to(np.minimum(usual, self.a_day), gains.shape)[large]
        chance = stats.t.logsf(np.sqrt(2 * gains[large] / (1 + more)), self.known * ((1 + more) / more) ** 2)
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
        from scipy import stats

        log = abs(math.log(ratio))
        own = (log / max(float(stats.norm.isf(max(p, 1e-300) / 2)), 1e-9)) ** 2
        more = self.variance * sum(1 / max(count, 1.0) for count in days)
        return float(2 * stats.t.sf(log / math.sqrt(own + more), self.known * ((own + more) / more) ** 2))


def _normal(log_chance: Floats) -> Floats:
    from scipy import special

    found: Floats = -special.ndtri_exp(log_chance)
    return found


def are_alike(seen: Floats, usual: Floats, rows: Floats) -> bool:
    """Whether groups of rows have as many failures as evenly shared ones would (Pearson's chi-square; 10 %)."""
    from scipy import stats

    spread = usual * (1 - usual / rows)
    if len(seen) < 2 or not (spread > 0).all():
        return True
    return float(stats.chi2.sf(((seen - usual) ** 2 / spread).sum(), len(seen) - 1)) > _ALIKE


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
