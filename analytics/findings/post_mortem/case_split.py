"""Points per case: how much of a change is the amount (effect), how much is who reaches which case (mix)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons, estimators
from analytics.estimates.estimate import Estimate, graded, worse
from analytics.findings.post_mortem.groups import NO_CASE, Group, paid, run_estimate

if TYPE_CHECKING:
    import pandas as pd

_USED = ("status", "points", "case_name", "sampled", "sample_weight", "window_rate")


@dataclass(frozen=True, slots=True)
class Case:
    """One case on both sides.

    Attributes:
        name: Author's name; ``no case`` for ok runs in which no rule matched.
        share_before, share_after: Share of the paid runs that ended in it.
        points_before, points_after: Mean points when it pays.
        runs_after: Estimated runs that ended in it after the change.
        overpaid: Those runs times the change of the amount: what they were paid beyond the earlier amount. NaN when the case
            is new.
    """

    name: str
    share_before: Estimate
    share_after: Estimate
    points_before: Estimate
    points_after: Estimate
    runs_after: Estimate
    overpaid: Estimate

    @property
    def amount_changed(self) -> bool:
        """The case pays another amount, beyond chance."""
        a, b = self.points_before, self.points_after
        if min(a.logged_count, b.logged_count) < 2:
            return False
        return b.low > a.high or b.high < a.low


@dataclass(frozen=True, slots=True)
class Split:
    """A change of points per run, split.

    Attributes:
        effect: Per run: the same cases pay another amount.
        mix: Per run: other shares of runs reach the cases.
        overpaid: Over all runs after the change: the effect in points.
        paid: Estimated points paid after the change.
        is_same_cases: Every case was reached on both sides. Where one came or went, amounts by cases say nothing of its runs.
    """

    effect: Estimate
    mix: Estimate
    overpaid: Estimate
    paid: Estimate
    is_same_cases: bool = True


def compare_cases(before: Group, after: Group) -> list[Case]:
    """Every case of either side, the one with the most points first."""
    old, new = _paid(before), _paid(after)
    old_names, new_names = _names(old), _names(new)
    found = []
    for name in sorted({*old_names.cat.categories, *new_names.cat.categories}):
        was, now = old_names == name, new_names == name
        a, b = old[was], new[now]
        found.append(
            Case(
                name,
                estimators.share_of_runs(was, old["sample_weight"], process=True),
                estimators.share_of_runs(now, new["sample_weight"], process=True),
                estimators.mean(a["points"], a["sample_weight"], process=True),
                estimators.mean(b["points"], b["sample_weight"], process=True),
                run_estimate(b) if len(b) else estimators.NOTHING,
                _overpaid(a, b),
            )
        )
    return sorted(found, key=lambda case: -abs(_or_zero(case.runs_after.value * case.points_after.value)))


def split(before: Group, after: Group) -> Split:
    """Effect and mix of a change (Oaxaca's decomposition with the cases as groups, *Int. Econ. Rev.* 14, 1973).

    Effect is ``Σ shareₐfter · (meanₐfter − meanbefore)`` over the cases both sides have; mix is the rest. Means of the earlier
    side are uncertain too; their variance enters with the square of the runs they are applied to.
    """
    old, new = _paid(before), _paid(after)
    cases = dict(list(old.groupby(_names(old))))
    weights = new["sample_weight"].to_numpy(float)
    excess = np.zeros(len(new))
    variance_of_means = 0.0
    for name, rows in new.groupby(_names(new)):
        if name not in cases:
            continue
        earlier = estimators.mean(cases[name]["points"], cases[name]["sample_weight"], process=True)
        here = new.index.get_indexer(rows.index)
        excess[here] = rows["points"].to_numpy(float) - earlier.value
        half = (earlier.high - earlier.low) / 2
        if math.isfinite(half):
            variance_of_means += _squared(float(rows["sample_weight"].sum()) * half / estimators.Z_95)
    overpaid = _widened(estimators.total(excess, weights), variance_of_means, float(np.nansum(weights * abs(excess))))
    runs = float(weights.sum())
    per_run = estimators.mean(excess, weights, process=True)
    size = float(np.nansum(weights * abs(excess))) / runs if runs else 0.0
    effect = _widened(per_run, variance_of_means / runs**2 if runs else 0.0, size)
    whole = comparisons.difference(before.values, after.values)
    mix_value = whole.change.value - effect.value
    if math.isclose(whole.change.value, effect.value, rel_tol=1e-9):
        mix_value = 0.0
    half = math.hypot((whole.change.high - whole.change.low) / 2, (effect.high - effect.low) / 2)
    mix = Estimate(mix_value, mix_value - half, mix_value + half, whole.change.logged_count, whole.change.grade)
    same = not _came_or_went(old, new) and not _came_or_went(new, old)
    return Split(effect, mix.as_difference(), overpaid, estimators.total(new["points"], weights), same)


def _came_or_went(here: pd.DataFrame, there: pd.DataFrame) -> bool:
    """Whether a case of one side is missing on the other though chance would hardly leave it out."""
    names, others = _names(here), set(_names(there).unique())
    rare = 3 / max(1, len(there))  # of so many rows a case that is no rarer is missing once in twenty times
    shares = names.value_counts(normalize=True)
    return any(share > rare for name, share in shares.items() if share > 0 and name not in others)


def _overpaid(old: pd.DataFrame, new: pd.DataFrame) -> Estimate:
    if old.empty or new.empty:
        return estimators.NOTHING
    earlier = estimators.mean(old["points"], old["sample_weight"], process=True)
    excess = new["points"].to_numpy(float) - earlier.value
    half = (earlier.high - earlier.low) / 2
    extra = _squared(float(new["sample_weight"].sum()) * half / estimators.Z_95) if math.isfinite(half) else 0.0
    size = float(np.nansum(new["sample_weight"] * abs(excess)))
    return _widened(estimators.total(excess, new["sample_weight"]), extra, size)


def _widened(estimate: Estimate, variance: float, size: float) -> Estimate:
    """With the uncertainty of the earlier means, graded by the wider interval against the size of what was added up."""
    more, value = estimators.Z_95 * math.sqrt(variance), estimate.value
    low, high = value - math.hypot(value - estimate.low, more), value + math.hypot(estimate.high - value, more)
    grade = worse(estimate.grade, graded((high - low) / 2, size))
    return replace(estimate, low=low, high=high, grade=grade).as_difference()


def _paid(side: Group) -> pd.DataFrame:
    """Ok runs whose points can be added up, without the columns that are not used: a selection copies all that there are."""
    return paid(side.rows[[name for name in _USED if name in side.rows]])


def _names(rows: pd.DataFrame) -> pd.Series:
    return rows["case_name"].fillna(NO_CASE).astype("category")


def _squared(value: float) -> float:
    """Beyond a double it is infinite, which is a wide interval and no failure, as ``**`` would have it."""
    return value * value


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0
