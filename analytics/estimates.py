"""Numbers under sampling. A row drawn by the sampler stands for ``1/rate`` runs, a failure for itself.

Every estimate is a value with a 95 % interval, the count of logged rows behind it, and a plain grade. The design is
Bernoulli sampling of ok runs (Särndal, Swensson & Wretman, *Model Assisted Survey Sampling*, 1992, section 3.2): with weight
``w`` for each drawn row, the estimated total of ``y`` is ``Σ w·y`` with estimated variance ``Σ w·(w − 1)·y²``. Failures are
all kept, have weight 1, and add no variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.config import DEFAULT_SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95
Z_95 = 1.959963984540054
"""Standard errors in a two-sided 95 % interval of a normal estimate."""
GRADES = ("good", "rough", "too few")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number for the population, estimated from the log.

    Attributes:
        value: Best value; NaN when nothing can be said.
        low, high: 95 % interval, in the unit of the value; NaN when unknown.
        logged_count: Rows it rests on.
        grade: ``good`` (narrow enough to act on), ``rough`` (right order of size) or ``too few`` (do not use).
    """

    value: float
    low: float
    high: float
    logged_count: int
    grade: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; what is not finite becomes ``None``."""

        def plain(x: float) -> float | None:
            return float(x) if math.isfinite(x) else None

        return {
            "value": plain(self.value),
            "low": plain(self.low),
            "high": plain(self.high),
            "logged_count": self.logged_count,
            "grade": self.grade,
        }


NOTHING = Estimate(math.nan, math.nan, math.nan, 0, "too few")


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
        rate: Of the sampler, for the upper bound when no row was drawn.

    Returns:
        Zero drawn rows are not zero runs: the value is ``kept``, the upper bound comes from ``upper_bound_of_none``.
    """
    from scipy import stats

    if sampled and not weight_sum > 0:
        return NOTHING  # rows were drawn though the configured rate is 0: their weight is unknown
    if sampled == 0:
        return Estimate(kept, kept, kept + upper_bound_of_none(rate), kept, "too few" if kept == 0 else "rough")
    weight = weight_square_sum / weight_sum
    effective = weight_sum / weight
    p = min(1.0, 1 / weight)
    if p >= 1:
        return Estimate(weight_sum + kept, weight_sum + kept, weight_sum + kept, sampled + kept, "good")
    tail = (1 - CONFIDENCE) / 2
    low = effective + float(stats.nbinom.ppf(tail, effective, p))
    high = effective + float(stats.nbinom.ppf(1 - tail, effective + 1, p))
    value = weight_sum + kept
    return Estimate(value, low + kept, high + kept, sampled + kept, _grade(value, low + kept, high + kept, sampled))


def upper_bound_of_none(rate: float) -> float:
    """How many ok runs there may have been when none was logged: the one-sided 95 % bound ``ln 0.05 / ln(1 − rate)``.

    58 at the default rate 0.05 (the "rule of three" of Hanley & Lippman-Hand, *JAMA* 249, 1983, in its exact form);
    infinite at rate 0, where none is ever logged.
    """
    if rate >= 1:
        return 0
    return math.floor(math.log(1 - CONFIDENCE) / math.log1p(-rate)) if rate > 0 else math.inf


def failure_rate(failed: int, all_runs: Estimate) -> Estimate:
    """Share of runs that failed. The failures are counted; only the runs are estimated."""
    if failed == 0:
        bound = 0.0
        return Estimate(0.0, 0.0, bound, all_runs.logged_count, all_runs.grade)
    return Estimate(
        failed / all_runs.value,
        failed / all_runs.high,
        min(1.0, failed / max(all_runs.low, failed)),
        all_runs.logged_count,
        all_runs.grade,
    )


def mean(values: ArrayLike, weights: ArrayLike, *, future: bool = False) -> Estimate:
    """Mean per run, by the linearised ratio ``Σwy / Σw`` (Särndal et al. 1992, section 5.6), with Student's t.

    Args:
        values: Finite values of the rows.
        weights: Their ``sample_weight``.
        future: Take the runs themselves as a sample of what the strategy does (for comparisons): variance with ``w²``
            instead of ``w(w − 1)``.
    """
    import numpy as np
    from scipy import stats

    y, w = _arrays(values, weights)
    n = len(y)
    if n == 0:
        return NOTHING
    total = w.sum()
    value = float((w * y).sum() / total)
    residual = y - value
    factor = w**2 if future else w * (w - 1)
    # n/(n−1) as usual for few rows
    variance = float((factor * residual**2).sum() / total**2) * (n / (n - 1) if n > 1 else 1)
    if n == 1:
        return Estimate(value, math.nan, math.nan, 1, "too few")
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * math.sqrt(variance)
    spread = float(np.abs(y).max() - np.abs(y).min()) if n else 0.0
    grade = _grade(value, value - half, value + half, n)
    if grade == "too few" and n >= 10 and spread > 0 and half <= 0.5 * spread:
        grade = "rough"  # a mean near zero has no relative error to judge by
    return Estimate(value, value - half, value + half, n, grade)


def total(values: ArrayLike, weights: ArrayLike) -> Estimate:
    """Sum over all runs: ``Σwy`` with variance ``Σw(w − 1)y²`` (Horvitz & Thompson, *JASA* 47, 1952)."""
    import numpy as np

    y, w = _arrays(values, weights)
    if len(y) == 0:
        return NOTHING
    value = float((w * y).sum())
    half = Z_95 * math.sqrt(float((w * (w - 1) * y**2).sum()))
    return Estimate(
        value, value - half, value + half, len(y), _grade(value, value - half, value + half, int(np.count_nonzero(y)))
    )


def share(hits: int, of: int) -> Estimate:
    """Share of the ok runs, from counts of logged ok rows of one rate: Wilson's interval (*JASA* 22, 1927)."""
    from scipy import stats

    if of == 0:
        return NOTHING
    interval = stats.binomtest(hits, of).proportion_ci(CONFIDENCE, method="wilson")
    half = (interval.high - interval.low) / 2
    grade = "good" if half <= 0.05 and of >= 30 else "rough" if half <= 0.15 and of >= 10 else "too few"
    return Estimate(hits / of, float(interval.low), float(interval.high), of, grade)


def quantile(values: ArrayLike, weights: ArrayLike, q: float) -> Estimate:
    """Quantile of the runs: the weighted ECDF, inverted; interval by Woodruff's method (*JASA* 47, 1952).

    Args:
        values: Finite values of the rows; censored ones (runs stopped by a limit) as ``inf``: a quantile among them is
            ``inf``, to be read as "beyond the limit".
        weights: Their ``sample_weight``.
        q: Between 0 and 1.
    """
    import numpy as np

    y, w = _arrays(values, weights, infinite=True)
    n = len(y)
    if n == 0:
        return NOTHING
    order = np.argsort(y, kind="stable")
    y, w = y[order], w[order]
    share_below = np.cumsum(w) / w.sum()

    def at(p: float) -> float:
        return float(y[min(int(np.searchsorted(share_below, p - 1e-12)), n - 1)])

    value = at(q)
    indicator = (y <= value).astype(float) - q
    half = Z_95 * math.sqrt(float((w * (w - 1) * indicator**2).sum()) / w.sum() ** 2)
    low = at(max(q - half, 0.0))
    # Beyond the largest row nothing is known: the upper bound is open.
    high = at(q + half) if q + half < 1 else math.inf
    beyond = n * (1 - q)
    grade = "too few" if beyond < 2 or n < 10 else "rough" if beyond < 10 or not math.isfinite(high) else "good"
    return Estimate(value, low, high, n, grade)


def _arrays(values: ArrayLike, weights: ArrayLike, *, infinite: bool = False) -> tuple[Floats, Floats]:
    import numpy as np

    y, w = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    usable = ~np.isnan(y) & ~np.isnan(w) & (w >= 1)
    if not infinite:
        usable &= np.isfinite(y)
    return y[usable], w[usable]


def _grade(value: float, low: float, high: float, rows: int) -> str:
    half = (high - low) / 2
    scale = abs(value)
    if rows >= 30 and half <= 0.15 * scale:
        return "good"
    return "rough" if rows >= 10 and half <= 0.5 * scale else "too few"
