"""The logged runs that are compared: two groups of rows as arrays, their cases, and tests by ranks of whether their points differ.

By the cases a change of points per run is split: how much is the amount (effect), how much is who reaches which case (mix).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons, estimators, significance
from analytics.estimates.estimate import Estimate, graded, worse
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Bools, Floats, Ints, Whole

NO_CASE = "no case"
"""Stands for ok runs in which no rule matched."""
MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Group:
    """One of the two groups of runs that are compared.

    Attributes:
        label: ``v2``, or "before".
        strategy_id, strategy_version: The version; ``None`` when the group holds several.
        since, until: First and last logged row, UTC.
        rows: Its logged runs.
    """

    label: str
    strategy_id: str | None
    strategy_version: int | None
    since: datetime
    until: datetime
    rows: pd.DataFrame

    @property
    def paid(self) -> pd.DataFrame:
        """Ok runs whose points can be added up."""
        return paid(self.rows)

    @property
    def paid_count(self) -> int:
        """Logged rows of ``paid``."""
        return int(_is_paid(self.rows).sum())

    @property
    def failed(self) -> pd.DataFrame:
        """Failed runs: all that there were."""
        return self.rows[self.rows["status"] != "ok"]

    @property
    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Points and weights of ``paid``."""
        here = _is_paid(self.rows)
        return self.rows["points"].to_numpy(float)[here], self.rows["sample_weight"].to_numpy(float)[here]


@dataclass(frozen=True, slots=True)
class RunColumns:
    """Logged runs as arrays, oldest first: a million rows are looked at many times. Grain of every array: logged run.

    Attributes:
        frame: The rows themselves.
        time: Microseconds since 1970, UTC.
        points, weight, duration: As logged; NaN where there is none.
        ok: The run did not fail.
        paid: Ok, and its points can be added up.
        label: Number of the version's label in ``labels``.
        case: Number of the case; -1 for none.
        code: Number of the error code in ``codes``; -1 for ok runs.
    """

    frame: pd.DataFrame
    time: Ints
    points: Floats
    weight: Floats
    duration: Floats
    ok: Bools
    paid: Bools
    label: Whole
    labels: tuple[str, ...]
    case: Whole
    code: Whole
    codes: tuple[str, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> RunColumns:
        """The arrays of some rows, as ``family_runs`` gives them."""
        import pandas as pd

        points = frame["points"].to_numpy(float, na_value=np.nan)
        ok = (frame["status"] == "ok").to_numpy(bool)
        label, labels = pd.factorize(frame["label"])
        case, _ = pd.factorize(frame["case_name"])
        failed = np.flatnonzero(~ok)
        numbers, codes = pd.factorize(frame["error_code"].iloc[failed])
        code = np.full(len(frame), -1, dtype=np.int32)
        code[failed] = numbers
        return cls(
            frame,
            frame["created_at"].dt.as_unit("us").astype("int64").to_numpy(),
            points,
            frame["sample_weight"].to_numpy(float, na_value=np.nan),
            frame["duration_ms"].to_numpy(float, na_value=np.nan),
            ok,
            ok & np.isfinite(points),
            label.astype(np.int32),
            tuple(str(name) for name in labels),
            case.astype(np.int32),
            code,
            tuple(str(name) for name in codes),
        )

    def between(self, since: datetime | int, until: datetime | int) -> slice:
        """The rows of ``since <= t < until``."""
        low, high = np.searchsorted(self.time, [as_number(since), as_number(until)])
        return slice(int(low), int(high))

    def where(self, span: slice, label: str | None = None) -> Ints:
        """Row numbers of a slice, of one version if one is given."""
        if label is None:
            return np.arange(span.start, span.stop)
        if label not in self.labels:
            return np.empty(0, dtype=np.int64)
        found: Ints = span.start + np.flatnonzero(self.label[span] == self.labels.index(label))
        return found

    def group(self, label: str, rows: Ints) -> Group:
        """A group of rows."""
        # A slice of the frame copies nothing; most groups are one.
        whole = len(rows) > 0 and int(rows[-1]) - int(rows[0]) + 1 == len(rows)
        return group_of(label, self.frame.iloc[int(rows[0]) : int(rows[-1]) + 1] if whole else self.frame.iloc[rows])


def as_number(moment: datetime | int) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // MICROSECOND if isinstance(moment, datetime) else moment


def as_time(number: int | np.integer) -> datetime:
    """The moment of so many microseconds since 1970, UTC."""
    return _EPOCH + int(number) * MICROSECOND


def group_of(label: str, rows: pd.DataFrame) -> Group:
    """A group of rows, with its version if it holds one only."""
    pairs = rows[["strategy_id", "strategy_version"]].drop_duplicates()
    known = [(str(strategy), int(version)) for strategy, version in pairs.itertuples(index=False)]
    strategy, version = known[0] if len(known) == 1 else (None, None)
    first, last = rows["created_at"].iloc[0], rows["created_at"].iloc[-1]
    return Group(label, strategy, version, first.to_pydatetime(), last.to_pydatetime(), rows)


def rows_since(rows: pd.DataFrame, since: datetime) -> pd.DataFrame:
    """Those of rows in time order that ran at a time or later: a slice, which copies nothing."""
    return rows.iloc[int(rows["created_at"].searchsorted(since)) :]


def paid(rows: pd.DataFrame) -> pd.DataFrame:
    """Ok rows with finite points."""
    return rows[_is_paid(rows)]


def _is_paid(rows: pd.DataFrame) -> Bools:
    found: Bools = (rows["status"] == "ok").to_numpy(bool) & np.isfinite(
        rows["points"].to_numpy(float, na_value=np.nan)
    )
    return found


def run_estimate(rows: pd.DataFrame) -> Estimate:
    """Estimated runs behind some logged rows: weights for those drawn, one for those kept.

    Args:
        rows: As ``family_runs`` gives them; ``window_rate`` bounds the runs when none was drawn.
    """
    drawn = rows["sample_weight"].to_numpy(float)[(rows["sampled"].astype(bool) & (rows["status"] == "ok")).to_numpy()]
    if len(rows) and "window_rate" in rows:
        rate = float(rows["window_rate"].min())
    else:
        rate = 1 / float(np.nanmax(drawn)) if np.isfinite(drawn).any() else DEFAULT_SAMPLE_RATE
    return estimators.runs_of_rows(drawn, kept=len(rows) - len(drawn), rate=rate)


_DAY = 86_400_000_000
_HOUR = 3_600_000_000


def strata(time: Ints, *, weekends: bool = True) -> Ints:
    """Kind of hour a run falls into: quarter of the day, and weekday or weekend, all UTC.

    Args:
        time: Microseconds since 1970.
        weekends: Tell weekends from weekdays.
    """
    quarter = time // (6 * _HOUR) % 4
    return (quarter + 4 * is_weekend(time) if weekends else quarter).astype(np.int64)


def is_weekend(time: Ints) -> Bools:
    """Saturday and Sunday, UTC."""
    weekend: Bools = (time // _DAY + 3) % 7 >= 5  # 1 January 1970 was a Thursday
    return weekend


def ranks(values: Floats) -> Floats:
    """Ranks from −½ to ½, ties in the middle of theirs."""
    ranked: Floats = (significance.mean_ranks(values) - 0.5) / max(len(values), 1) - 0.5
    return ranked


def ranks_within(values: Floats, groups: Whole) -> Floats:
    """Ranks of each group by itself: they see a case that pays another amount, and not that more runs reach it."""
    if len(values) == 0:
        return values
    order = np.lexsort((values, groups))
    v, g = values[order], groups[order]
    new_group = np.r_[True, g[1:] != g[:-1]]
    new_value = new_group | np.r_[True, v[1:] != v[:-1]]
    starts, ties = np.flatnonzero(new_group), np.flatnonzero(new_value)
    numbers = np.cumsum(new_group) - 1
    sizes, lengths = np.diff(np.r_[starts, len(v)]), np.diff(np.r_[ties, len(v)])
    middle = np.repeat(ties + lengths / 2, lengths) - starts[numbers]
    found = np.empty(len(v))
    found[order] = middle / sizes[numbers] - 0.5
    return found


def deseasonalise(scores: Floats, kinds: Whole) -> Floats:
    """Scores less the mean of their kind of hour."""
    if len(scores) == 0:
        return scores
    counts = np.bincount(kinds)
    means = np.bincount(kinds, weights=scores) / np.maximum(counts, 1)
    left: Floats = scores - means[kinds]
    return left


def overdispersion(scores: Floats, cells: Whole) -> float:
    """How much more the means of cells (days) vary than their rows explain; 1 at least.

    The Pearson statistic over its degrees of freedom (McCullagh & Nelder, *Generalized Linear Models*, 1989, section 4.5):
    users who play on the same day, and days that have a character of their own, make rows say less than their number.
    """
    _, numbers, counts = np.unique(cells, return_inverse=True, return_counts=True)
    spread = float(np.var(scores))
    usable = counts >= 5
    if spread <= 0 or usable.sum() < 4:
        return 1.0
    means = np.bincount(numbers, weights=scores)[usable] / counts[usable]
    n = counts[usable]
    middle = float((n * means).sum() / n.sum())
    return max(1.0, float((n * (means - middle) ** 2).sum()) / spread / (int(usable.sum()) - 1))


def two_groups_p(scores: Floats, is_after: Bools, kinds: Whole, days: Whole) -> tuple[float, float]:
    """Whether two groups differ at a place known beforehand: ranks, compared within the same kinds of hour.

    The stratified rank sum (van Elteren, *Bull. Int. Stat. Inst.* 37, 1960) with the ranks of all rows, its permutation
    variance, and the overdispersion of days within the groups.

    Returns:
        The signed standard errors, and the two-sided chance; (0, 1) where no kind of hour has rows of both.
    """
    if len(scores) == 0:
        return 0.0, 1.0
    size = int(kinds.max()) + 1
    after = is_after.astype(float)
    n, n_after = np.bincount(kinds, minlength=size), np.bincount(kinds, weights=after, minlength=size)
    both = (n_after > 0) & (n_after < n)
    inside = both[kinds]
    if not inside.any():
        return 0.0, 1.0
    scores, after, kinds, days = scores[inside], after[inside], kinds[inside], days[inside]
    left = deseasonalise(scores, kinds)
    squares = np.bincount(kinds, weights=left**2, minlength=size)
    variance = float(((squares * n_after * (n - n_after))[both] / (n * np.maximum(n - 1, 1))[both]).sum())
    if variance <= 0:
        return 0.0, 1.0
    own, _ = without_group(left, after, kinds)
    z = float((left * after).sum()) / math.sqrt(variance * overdispersion(own, days * 2 + after.astype(np.int64)))
    return z, 2 * significance.normal_tail(abs(z))


def without_group(left: Floats, after: Floats, kinds: Whole) -> tuple[Floats, float]:
    """What neither the kind of hour nor the group explains, both fitted together (Frisch & Waugh, *Econometrica* 1, 1933).

    Args:
        left: Scores beyond their rhythm.
        after: One for the rows of the group, zero for the others.
        kinds: Kind of hour.

    Returns:
        The scores left, and how many rows the group is worth beside its kinds of hours: ``Σ (after − its mean in the kind)²``.
    """
    own = deseasonalise(after, kinds)
    worth = float((own**2).sum())
    rest: Floats = left - own * (float((own * left).sum()) / worth if worth > 0 else 0.0)
    return rest, worth


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


def split_by_case(before: Group, after: Group) -> Split:
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
    if not excess.any() and (unseen := estimators.none_differs(weights, _span(old, new))) is not None:
        effect, overpaid = unseen, unseen.times(runs)
    whole = comparisons.difference(before.values, after.values)
    mix_value = whole.change.value - effect.value
    if math.isclose(whole.change.value, effect.value, rel_tol=1e-9):
        mix_value = 0.0
    half = math.hypot((whole.change.high - whole.change.low) / 2, (effect.high - effect.low) / 2)
    grade = whole.change.grade if math.isfinite(half) else worse(whole.change.grade, effect.grade)
    mix = Estimate(mix_value, mix_value - half, mix_value + half, whole.change.logged_count, grade)
    same = not _came_or_went(old, new) and not _came_or_went(new, old)
    return Split(effect, mix.as_difference(), overpaid, estimators.total(new["points"], weights), same)


def _span(*groups: pd.DataFrame) -> float:
    """The most that two of their runs differ by.

    Where all are paid alike, what they are paid: a run that was not logged may be paid nothing, or as much more. Where that is
    nothing, no amount is known that another may be paid.
    """
    points = np.concatenate([rows["points"].to_numpy(float) for rows in groups])
    if not len(points):
        return 0.0
    return float(points.max() - points.min()) or float(np.abs(points).max()) or math.inf


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
    if not excess.any() and (unseen := estimators.none_differs(new["sample_weight"], _span(old, new))) is not None:
        return unseen.times(float(new["sample_weight"].sum()))
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
