"""Numbers under sampling. A row drawn by the sampler stands for ``1/rate`` runs, a failure for itself.

Every estimate is a value with a 95 % interval, the count of logged rows behind it, and a plain grade. The design is
Bernoulli sampling of ok runs (Särndal, Swensson & Wretman, *Model Assisted Survey Sampling*, 1992, section 3.2): with weight
``w`` for each drawn row, the estimated total of ``y`` is ``Σ w·y`` with estimated variance ``Σ w·(w − 1)·y²``. Failures are
all kept, have weight 1, and add no variance.

An interval is for the runs that there were; with ``process=True`` for what the strategy does, of which the runs themselves
are a sample: that is what comparisons need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from analytics.estimates.estimate import CONFIDENCE, GRADES, NOTHING, REACH, TAIL, Z_95, Estimate, graded, worse
from analytics.estimates.moments import of_mean, of_total
from analytics.estimates.quantiles import quantile, quantiles, quantiles_of_counts
from analytics.estimates.sampling_rates import DEFAULT_SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from analytics.estimates.arrays import Bools, Floats


STOPPED = ("limit", "timeout")
"""Stopped by the node cap, the depth cap or the time limit: it would have gone on."""


def nodes(statuses: ArrayLike, counts: ArrayLike) -> tuple[Floats, Bools]:
    """Trace entries per run, for ``quantiles``.

    Failed runs log 0, which is not what they did: stopped ones needed more than any number that is known (``inf``), and of
    the others nothing is known (NaN).

    Args:
        statuses: Of the runs.
        counts: Their ``nodes_executed``.

    Returns:
        Values, and which of them are censored.
    """
    import numpy as np

    status, found = np.asarray(statuses, dtype=object), np.asarray(counts, dtype=float)
    stopped = np.isin(status, STOPPED)
    return np.where(stopped, math.inf, np.where(status == "ok", found, math.nan)), stopped


def durations(statuses: ArrayLike, milliseconds: ArrayLike) -> tuple[Floats, Bools]:
    """Milliseconds per run, for ``quantiles``: those of stopped runs are "at least".

    Args:
        statuses: Of the runs.
        milliseconds: Their ``duration_ms``; what cannot be one (infinite, negative) is left out.
    """
    import numpy as np

    status, found = np.asarray(statuses, dtype=object), np.asarray(milliseconds, dtype=float)
    return np.where(np.isfinite(found) & (found >= 0), found, math.nan), np.isin(status, STOPPED)


__all__ = [
    "CONFIDENCE", "GRADES", "NOTHING", "Z_95", "Estimate", "failure_rate", "mean", "quantile", "quantiles",
    "quantiles_of_counts", "runs", "runs_of_rates", "runs_of_rows", "share", "share_of_runs", "total", "upper_bound_of_none",
    "worse",
]  # fmt: skip


_NEAR = 0.5
"""Of the weight at the smallest rate: rows as heavy as that may have been drawn at it, and their weight been corrected."""
_FEW = 3
"""Rows that have something, for which a normal limit is too near to them."""
_MOST_RATES = 8
"""Rates that have intervals of their own; more are weights of hours."""


def runs(
    sampled: int, weight_sum: float, weight_square_sum: float, kept: int = 0, rate: float = DEFAULT_SAMPLE_RATE
) -> Estimate:
    """Estimated number of runs.

    With ``n`` rows drawn at rate ``p`` the number of ok runs has the exact interval of an inverse binomial
    (negative-binomial quantiles; Garwood's construction, *Biometrika* 28, 1936, for the binomial). Rows of different rates are
    brought to one by the effective count ``(Σw)²/Σw²`` (Kish, *Survey Sampling*, 1965, section 11.7).

    Args:
        sampled: Rows drawn by the sampler.
        weight_sum, weight_square_sum: Of their weights and squared weights.
        kept: Rows kept because they failed: exact.
        rate: Smallest of the sampler in the time in question, for the upper bound where no row was drawn.

    Returns:
        Zero drawn rows are not zero runs: the value is ``kept``, the upper bound comes from ``upper_bound_of_none``. Where the
        rate was 0 for a time, no ok run of it was ever logged: what is known is a lower bound.
    """
    from scipy import special

    if sampled and not weight_sum > 0:
        return NOTHING  # rows were drawn though the configured rate is 0: their weight is unknown
    value, count = weight_sum + kept, sampled + kept
    low, high, effective = value, value, math.inf
    if sampled == 0:
        value, low, high = float(kept), float(kept), kept + upper_bound_of_none(rate)
        effective = math.inf if rate >= 1 else 0.0
    elif weight_square_sum > weight_sum:
        weight = weight_square_sum / weight_sum
        effective = weight_sum / weight
        p = 1 / weight
        low = kept + effective + max(math.ceil(special.nbdtrik(TAIL, effective, p)), 0)
        high = kept + effective + max(math.ceil(special.nbdtrik(1 - TAIL, effective + 1, p)), 0)
        low, high = min(low, value), max(high, value)  # at rates near 1 the value is no whole number of runs
    if rate == 0:
        return Estimate(value, low, math.inf, count, "too few", effective, is_at_least=True)
    grade = "good" if low == high else graded((high - low) / 2, value)
    return Estimate(value, low, high, count, grade, effective)


def runs_of_rows(weights: ArrayLike, kept: int = 0, rate: float = DEFAULT_SAMPLE_RATE) -> Estimate:
    """Estimated number of runs, from the weights of the drawn rows; see ``runs_of_rates``."""
    import numpy as np

    drawn = np.asarray(weights, dtype=float)
    each, counts = np.unique(drawn, return_counts=True)
    return runs_of_rates({float(w): int(n) for w, n in zip(each, counts, strict=True)}, kept, rate)


def runs_of_rates(drawn: Mapping[float, int], kept: int = 0, rate: float = DEFAULT_SAMPLE_RATE) -> Estimate:
    """Estimated number of runs where the rate has changed: each rate has its own interval.

    They are put together in squares (MOVER; Zou & Donner, *Statistics in Medicine* 27, 2008), so that the few rows of a low
    rate are not taken for many of a high one. Many weights (counters give each hour its own) are pooled as in ``runs``.

    Args:
        drawn: Drawn rows by weight; NaN is the weight at a rate of 0.
        kept: Rows kept because they failed: exact.
        rate: Smallest of the sampler in the time in question: runs of which no row was drawn are bounded by it.
    """
    known = {w: n for w, n in drawn.items() if w >= 1}
    count = sum(known.values())
    unweighted = sum(drawn.values()) - count
    if unweighted and not count:
        return NOTHING
    sums = [math.fsum(w**power * n for w, n in known.items()) for power in (1, 2)]
    whole = runs(count, sums[0], sums[1], kept, 0.0 if unweighted else rate)
    # The smallest rate has no row. (Weights that counters have corrected are near the rate's, not at it.)
    unseen = rate > 0 and count > 0 and max(known) * rate < _NEAR
    if whole.is_at_least or (len(known) < 2 and not unseen) or len(known) > _MOST_RATES:
        return whole
    parts = [runs(n, w * n, w * w * n, rate=1 / w) for w, n in known.items()]
    low = whole.value - math.hypot(*(part.value - part.low for part in parts))
    none = upper_bound_of_none(rate) if unseen else 0.0
    high = whole.value + math.hypot(none, *(part.high - part.value for part in parts))
    return replace(whole, low=low, high=high, grade=graded((high - low) / 2, whole.value) if low < high else "good")


def upper_bound_of_none(rate: float) -> float:
    """How many ok runs there may have been when none was logged: the one-sided 95 % bound ``ln 0.05 / ln(1 − rate)``.

    58 at the default rate 0.05 (the "rule of three" of Hanley & Lippman-Hand, *JAMA* 249, 1983, in its exact form);
    infinite at rate 0, where none is ever logged.
    """
    if rate >= 1:
        return 0
    return math.floor(math.log(1 - CONFIDENCE) / math.log1p(-rate)) if rate > 0 else math.inf


def failure_rate(failed: int, all_runs: Estimate, *, process: bool = False) -> Estimate:
    """Share of runs that failed. The failures are counted; only the runs are estimated.

    Args:
        failed: Failures, all that there were.
        all_runs: The estimated runs, these failures among them.
        process: How often the strategy fails, of which these failures are a sample. Given what was logged, the failures among
            it are binomial (conditional test of two Poisson rates; Przyborowski & Wilenski, *Biometrika* 31, 1940), so
            the interval is Clopper & Pearson's (*Biometrika* 26, 1934), brought back to runs.
    """
    from scipy import special

    count, effective = all_runs.logged_count, all_runs.effective_count
    if not all_runs.value > 0:
        return NOTHING
    value = min(failed / all_runs.value, 1.0)
    low = failed / all_runs.high
    high = min(1.0, failed / max(all_runs.low, failed)) if failed else 0.0
    if process:
        ok = all_runs.value - failed
        drawn = min(effective, ok) if ok > 0 else 0.0
        if drawn > 0:
            p = drawn / ok
        else:  # none was drawn (others may have failed): the rate that ``upper_bound_of_none`` was made of, rounded down
            unseen = all_runs.high - max(all_runs.value, failed) + 1
            p = 1.0 if math.isinf(effective) else -math.expm1(math.log(1 - CONFIDENCE) / unseen)
        # of the logged rows, one in how many failed; then of the runs
        bounds = (
            float(special.betaincinv(failed, drawn + 1, TAIL)) if failed else 0.0,
            float(special.betaincinv(failed + 1, drawn, 1 - TAIL)) if drawn > 0 else 1.0,
        )
        low, high = (share * p / (1 - share + share * p) if share < 1 else 1.0 for share in bounds)
    grade = all_runs.grade
    if process:  # none seen is good to know where more than one in a hundred would have shown
        none = "good" if high <= 0.01 else "rough" if high <= 0.05 else "too few"
        grade = worse(grade, graded((high - low) / 2, value) if failed else none)
    return Estimate(value, low, high, count, grade, effective, is_at_least=False)


def mean(
    values: ArrayLike,
    weights: ArrayLike,
    *,
    process: bool = False,
    ends: tuple[float, float] | None = None,
    reach: float = REACH,
) -> Estimate:
    """Mean per run: the ratio ``Σwy / Σw``, linearised (Särndal et al. 1992, section 5.6).

    The interval has Student's t, corrected for skewness (see ``moments``).

    Args:
        values: Of the rows; NULL, NaN and infinite ones are set aside.
        weights: Their ``sample_weight``.
        process: For comparisons: variance with ``w²`` instead of ``w(w − 1)``.
        ends: The least and the most that a run can come to, where that is known. As many runs as the drawn rows allow may lie
            there though none was drawn (the rule of three).
        reach: Without them, of rows that are all alike: times their value that a run may come to which is unlike them.

    Returns:
        ``logged_count`` is the rows that were not set aside. Fewer than 60 drawn rows are ``too few``: what one run in
        twenty does may not be among them. ``good`` from 100 on. Where all are alike, a run that was not drawn may be unlike
        them: 299 rows at least, and as many as make the interval narrow. Rows of several weights count as Kish's effective
        ones. Without ``ends``, values that are not all alike are taken for a sample that shows what there is: what is rarer
        than three among the drawn rows is not in the interval. Durations are never taken so; see `stalls`.
    """
    found = of_mean(values, weights, process=process)
    return found.estimate(reach) if ends is None else found.within(*ends)


def total(
    values: ArrayLike, weights: ArrayLike, *, process: bool = False, ends: tuple[float, float] | None = None
) -> Estimate:
    """Sum over all runs: ``Σwy`` with variance ``Σw(w − 1)y²`` (Horvitz & Thompson, *JASA* 47, 1952); otherwise as ``mean``."""
    found = of_total(values, weights, process=process)
    return found.estimate() if ends is None else found.within(*ends)


def share(hits: float, of: float, *, rows: int | None = None, is_modified: bool = False) -> Estimate:
    """Share of the runs, from counts of drawn rows of one weight: Wilson's interval (*JASA* 22, 1927).

    Args:
        hits, of: Drawn rows that have it, and all of them; as effective counts they need not be whole.
        rows: Logged rows behind it; ``of`` when not given.
        is_modified: Of three rows or fewer the end towards nothing is a Poisson limit, or it would be missed too often where few
            runs have it (Brown, Cai & DasGupta, *Statistical Science* 16, 2001).
    """
    count = int(of) if rows is None else rows
    if not of > 0:
        return NOTHING
    p, z = hits / of, Z_95**2 / of
    middle = (p + z / 2) / (1 + z)
    half = Z_95 / (1 + z) * math.sqrt(p * (1 - p) / of + z / of / 4)
    low = max(middle - half, 0.0) if hits > 0 else 0.0
    high = min(middle + half, 1.0) if hits < of else 1.0
    if is_modified:
        low, high = _of_few(hits, of, low), 1 - _of_few(of - hits, of, 1 - high)
    half = (high - low) / 2
    # Few on one side say only that it is rare, which is enough where the other side is many.
    enough = min(hits, of - hits) >= 10 or of >= 300
    grade = "too few" if not enough or half > 0.15 else "good" if half <= 0.05 else "rough"
    return Estimate(p, low, high, count, grade, of)


def _of_few(hits: float, of: float, low: float) -> float:
    """The lower end of a share that few rows have."""
    from scipy import special

    if not 0 < hits <= _FEW:
        return low
    return min(low, float(special.gammaincinv(hits, 1 - CONFIDENCE)) / of)


def none_differs(weights: ArrayLike, span: float) -> Estimate | None:
    """The mean difference per run where no logged run has one: that says how seldom one is, and nothing of how much it is then.

    Args:
        weights: The ``sample_weight`` of every row.
        span: The most that two runs differ by; infinite where nothing bounds it.

    Returns:
        None where nothing is left to chance.
    """
    import numpy as np

    w = np.asarray(weights, dtype=float)
    seldom = share_of_runs(np.zeros(len(w), dtype=bool), w).high
    if not seldom > 0 or math.isnan(span):
        return None
    return Estimate(0.0, -seldom * span, seldom * span, len(w), "too few")


def share_of_runs(hits: ArrayLike, weights: ArrayLike, *, process: bool = False) -> Estimate:
    """Share of the runs that have something: a case, an error code, a branch.

    Wilson's interval with the effective sample size ``p(1 − p)/Var`` (Korn & Graubard, *Survey Methodology* 24, 1998), modified
    where three rows or fewer have it, or have it not.

    Args:
        hits: True for the rows that have it.
        weights: The ``sample_weight`` of every row.
        process: For comparisons.
    """
    import numpy as np

    has, w = np.asarray(hits, dtype=bool), np.asarray(weights, dtype=float)
    has, w = has[w >= 1], w[w >= 1]
    if len(w) == 0:
        return NOTHING
    value = float(w[has].sum() / w.sum())
    factor = w**2 if process else w * (w - 1)
    # Where no row that has it was drawn, or none that has not, the next may be: one of the heaviest. What only failures have
    # (an error code) is all known.
    unseen, heaviest = float(factor.max()), float(w.max() / w.sum())
    with_it, without = (
        max(float(factor[part].sum()), unseen if factor[part].any() or not part.any() else 0.0) for part in (has, ~has)
    )
    variance = (with_it * (1 - value) ** 2 + without * value**2) / float(w.sum()) ** 2
    if variance == 0:
        return Estimate(value, value, value, len(w), "good", math.inf)
    scale = (value * (1 - value) if 0 < value < 1 else heaviest * (1 - heaviest)) if len(w) > 1 else 1.0
    effective = scale / variance
    return share(value * effective, effective, rows=len(w), is_modified=not process)
