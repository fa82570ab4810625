"""Estimates of the groups of somebody's own question, and how a group differs from another one or from another window.

A group is a domain of the log: how many of the drawn rows fall into it is chance, too. Under Bernoulli sampling that is in the
variance of a total as it stands, ``Σ w(w − 1)·y²`` over the rows of the domain (Särndal, Swensson & Wretman, *Model Assisted Survey
Sampling*, 1992, section 10.3), and a mean per run is the ratio of two such totals.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analytics.errors import UnknownNameError, did_you_mean
from analytics.estimates import comparisons, estimators
from analytics.estimates.comparisons import UNKNOWN, Difference, Relative
from analytics.estimates.estimate import NOTHING, TAIL, Estimate
from analytics.estimates.quantiles import Part, quantiles, quantiles_of_parts
from analytics.estimates.summed import mean_of_sums, total_of_sums
from analytics.warehouse.asked_runs import OTHER, THIS, Gathered, Question, Tally
from analytics.warehouse.strategy_summary import sorted_part

if TYPE_CHECKING:
    from typing import Any

    from analytics.estimates.moments import Moments

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_MOST_NAMED = 5
_MAY_BE_NEGATIVE = ("est_points_sum", "est_points_mean")


@dataclass(frozen=True, slots=True)
class Compared:
    """An estimate beside what it is compared with.

    Attributes:
        before: The other window's, or the base group's.
        difference: From that to this.
        ratio: This over that; NaN where that may be zero.
    """

    before: Estimate
    difference: Difference
    ratio: Relative


@dataclass(frozen=True, slots=True)
class GroupEstimates:
    """A group.

    Attributes:
        keys: Values of the expressions that it was made by.
        logged_count, failed_count, set_aside_count: Logged rows of the window; those that failed; ok rows whose points
            cannot be added up.
        estimates: By name.
        compared: By name; empty where nothing is compared, for the base itself, and for a group that has none.
        is_base: Others are compared with it.
    """

    keys: tuple[Any, ...]
    logged_count: int
    failed_count: int
    set_aside_count: int
    estimates: dict[str, Estimate]
    compared: dict[str, Compared]
    is_base: bool = False


def estimate_groups(question: Question, found: Gathered, hidden: Collection[int] = ()) -> list[GroupEstimates]:
    """Estimates of every group that has a logged row, in the order of their keys.

    Args:
        question: What was asked.
        found: What the lake answered.
        hidden: Places of groups that nobody is to see: no other is compared with them, and no refusal names them.

    Raises:
        UnknownNameError: No group has the value that the others are to be compared with.
    """
    if question.base is not None:
        return _against_bases(question, found, question.base, hidden)
    groups = []
    for keys, sides in zip(found.keys, found.tallies, strict=True):
        this, other = (
            _Numbers(sides.get(side, Tally(rate=rate)))
            for side, rate in zip((THIS, OTHER), found.default_rates, strict=True)
        )
        groups.append(_group(question, keys, this, other if question.versus else None))
    return groups


def _against_bases(question: Question, found: Gathered, base: str, hidden: Collection[int]) -> list[GroupEstimates]:
    """Each group beside the one that has the same keys but for the last."""
    all_sides = list(zip(found.keys, found.tallies, strict=True))
    bases = {_key(keys[:-1]): _Numbers(sides[OTHER]) for keys, sides in all_sides if OTHER in sides}
    if all_sides and not bases:
        texts = (text for at, text in enumerate(found.last_keys) if at not in hidden)
        last = list(dict.fromkeys(text for text in texts if text is not None))  # NULL is no base
        named = ", ".join(map(repr, last[:_MOST_NAMED])) + (" …" if len(last) > _MOST_NAMED else "")
        there = f"{did_you_mean(base, last)}there are {named}; " if last else ""
        raise UnknownNameError(
            f"no logged row has {question.by[-1]} = {base!r}", hint=f"{there}a window is written 2026-07-03..2026-07-04"
        )
    told = {_key(keys[:-1]) for at, (keys, sides) in enumerate(all_sides) if OTHER in sides and at not in hidden}
    return [
        replace(_group(question, keys, bases[_key(keys[:-1])], None), is_base=True)
        if OTHER in sides
        else _group(question, keys, _Numbers(sides[THIS]), bases[same] if (same := _key(keys[:-1])) in told else None)
        for keys, sides in all_sides
    ]


def _group(question: Question, keys: tuple[Any, ...], this: _Numbers, other: _Numbers | None) -> GroupEstimates:
    compared = {}
    if other is not None:
        for name in question.names:
            before, difference = other.estimate(name), _difference(name, other, this)
            compared[name] = Compared(before, difference, _ratio(difference, before))
    tally = this.tally
    estimates = {name: this.estimate(name) for name in question.names}
    return GroupEstimates(keys, tally.logged, tally.failed, tally.set_aside, estimates, compared)


def _key(values: tuple[Any, ...]) -> str:
    """Of values that may be lists or not a number, which are no keys."""
    return repr(values)


class _Numbers:
    """Estimates of one tally; moments and sorted values are made once."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        drawn = sum(tally.drawn.values())
        rate = tally.rate
        self.runs = estimators.runs_of_rates(tally.drawn, tally.logged - drawn, rate)
        # Where nothing was logged for a time, or some rows have no weight, the others do not speak for all runs.
        self.is_partial = self.runs.is_at_least or math.nan in tally.drawn
        self._undrawn = math.inf if self.is_partial else 0.0 if drawn else estimators.upper_bound_of_none(rate)
        self._sorted: dict[str, list[Part]] = {}
        self._found: dict[tuple[str, bool], list[Estimate]] = {}

    def estimate(self, name: str) -> Estimate:
        """Of the runs that there were."""
        if name == "est_runs":
            return self.runs
        if name == "est_failure_rate":
            return estimators.failure_rate(self.tally.failed, self.runs)
        if name in _MAY_BE_NEGATIVE:
            found = self.moments(name, process=False).estimate()
            return replace(found, low=math.nan, high=math.nan, grade="too few") if self.is_partial else found
        return self._quantile(name, process=False)

    def process(self, name: str) -> Estimate:
        """Of what the strategies do: the runs themselves are a sample of it."""
        if name == "est_failure_rate":
            found = estimators.failure_rate(self.tally.failed, self.runs, process=True)
            own = self.tally.by_user.get("failures")
            wide = comparisons.widened(found, own.error * own.quantile) if own else found
            return replace(wide, low=max(wide.low, 0.0), high=min(wide.high, 1.0))
        return self._quantile(name, process=True)

    def _quantile(self, name: str, *, process: bool) -> Estimate:
        """One of three of the same values, which are put in order once for all."""
        values = "nodes" if "_nodes_" in name else "durations"
        if (values, process) not in self._found:
            of = self._of_process if process else quantiles_of_parts
            self._found[values, process] = of(self._parts(values), tuple(_SHARES.values()), undrawn=self._undrawn)
        place = next(place for place, word in enumerate(_SHARES) if f"_{word}" in name)
        return self._found[values, process][place]

    @staticmethod
    def _of_process(parts: Sequence[Part], shares: Sequence[float], *, undrawn: float) -> list[Estimate]:
        import numpy as np

        parts = [part for part in parts if part.count]
        if not parts:
            return [NOTHING] * len(shares)
        y = np.concatenate([np.append(part.values, np.full(part.unknown, math.inf)) for part in parts])
        weights = np.repeat([part.weight for part in parts], [part.count for part in parts])
        stopped = np.repeat([part.stopped for part in parts], [part.count for part in parts])
        return quantiles(y, weights, shares, censored=stopped, undrawn=undrawn, process=True)

    def mean_by_user(self) -> Moments:
        """Of the mean of what the strategies pay, where users, not their runs, are independent; never surer than if runs were."""
        found = self.moments("est_points_mean", process=True)
        own = self.tally.by_user.get("points")
        if own is None or found.variance == 0:
            return found
        from scipy import special

        alone = float(special.stdtrit(found.freedom, 1 - TAIL))
        times = own.error / (found.unit * math.sqrt(found.variance)) * max(own.quantile / alone, 1.0)
        return found.with_error(max(times, 1.0))

    def moments(self, name: str, *, process: bool) -> Moments:
        """Of the mean or the sum of points."""
        of = total_of_sums if name == "est_points_sum" else mean_of_sums
        return of(self.tally.sums, self.tally.pivot, self.tally.unit, process=process)

    def _parts(self, name: str) -> list[Part]:
        if name not in self._sorted:
            self._sorted[name] = [sorted_part(part, name) for part in self.tally.parts]
        return self._sorted[name]


def _difference(name: str, before: _Numbers, after: _Numbers) -> Difference:
    """From one to the other.

    Numbers of runs and sums are compared as what there was: only the drawing is chance. Means, rates and quantiles as what the
    strategies do, so that chance among the runs themselves is not told as a change; of means and rates users are what is
    independent, for the runs of one may be alike.
    """
    may_be_negative = name in _MAY_BE_NEGATIVE and min(before.tally.least, after.tally.least) < 0
    if name in ("est_runs", "est_points_sum") or before.is_partial or after.is_partial:
        return comparisons.between(before.estimate(name), after.estimate(name), is_negative_possible=may_be_negative)
    if name == "est_points_mean":
        return comparisons.difference_of_moments(
            before.mean_by_user(), after.mean_by_user(), is_negative_possible=may_be_negative
        )
    return comparisons.between(before.process(name), after.process(name), is_negative_possible=False)


def _ratio(difference: Difference, before: Estimate) -> Relative:
    """The change as a share of ``|before|``, as this over that."""
    share, low, high = difference.relative, difference.relative_low, difference.relative_high
    if not math.isfinite(share):
        return UNKNOWN
    return Relative(1 + share, 1 + low, 1 + high) if before.value > 0 else Relative(1 - share, 1 - high, 1 - low)
