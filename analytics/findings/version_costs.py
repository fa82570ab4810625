"""What a version costs: its time and its nodes, per run and in all, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analytics import estimates
from analytics.estimate import Z_95, graded
from analytics.estimates import NOTHING, Estimate

if TYPE_CHECKING:
    import pandas as pd

COST_COLUMNS = (
    "est_total_ms", "time_share", "est_ms_mean", "ms_dispersion", "est_nodes_total", "node_share", "est_nodes_mean",
)  # fmt: skip


def per_run(together: pd.DataFrame | None, times: pd.DataFrame | None) -> dict[str, Any]:
    """Time and nodes of one version's runs.

    Args:
        together: Rows of ``nodes_executed`` with ``status``, ``sample_weight`` and ``logged_count``.
        times: Rows of ``duration_ms`` with the same.

    Returns:
        ``est_ms_mean``, milliseconds per run that came to an end, a limit or a timeout; ``ms_dispersion``, the variance of
        these milliseconds divided by their mean (the index of dispersion: 0 where all runs take the same time, large where
        few take most of it); ``est_nodes_mean`` and ``est_nodes_total`` of ok runs (stopped ones log no nodes).
    """
    if together is None or times is None:
        return {
            "est_ms_mean": NOTHING,
            "ms_dispersion": math.nan,
            "est_nodes_mean": NOTHING,
            "est_nodes_total": NOTHING,
        }
    took, weights = _expanded(times, "duration_ms")
    nodes, of_nodes = _expanded(together[together["status"] == "ok"], "nodes_executed")
    return {
        "est_ms_mean": estimates.mean(took, weights),
        "ms_dispersion": _dispersion(took, weights),
        "est_nodes_mean": estimates.mean(nodes, of_nodes),
        "est_nodes_total": estimates.total(nodes, of_nodes),
    }


def _expanded(rows: pd.DataFrame, name: str) -> tuple[Any, Any]:
    """One value and one weight per logged run."""
    import numpy as np

    values, weights = (rows[each].to_numpy(dtype=float, na_value=math.nan) for each in (name, "sample_weight"))
    counts = rows["logged_count"].to_numpy()
    return np.repeat(values, counts), np.repeat(weights, counts)


def _dispersion(values: Any, weights: Any) -> float:
    import numpy as np

    usable = np.isfinite(values) & (weights >= 1)
    y, w = values[usable], weights[usable]
    whole = float(w.sum())
    mean = float((w * y).sum()) / whole if whole else 0.0
    return float((w * (y - mean) ** 2).sum()) / whole / mean if mean > 0 else math.nan


def total_ms(record: Mapping[str, Any]) -> Estimate:
    """All the time of a version, failures included: ``Σwy`` with variance ``Σw(w − 1)y²`` (Horvitz & Thompson, *JASA* 47, 1952).

    Args:
        record: A row of the query cost_by_strategy.
    """
    return _normal(float(record["est_total_ms"]), float(record["est_total_ms_variance"]), int(record["logged_count"]))


def shares(parts: Sequence[Estimate]) -> list[Estimate]:
    """Each part of the whole, as a share of one; nothing is said of parts of nothing.

    The error of ``a/(a + b)`` of two independent totals, linearised: ``((1 − s)² Var a + s² Var b)/(a + b)²`` (Särndal, Swensson &
    Wretman, *Model Assisted Survey Sampling*, 1992, section 5.6).
    """
    variances = [
        ((part.high - part.low) / (2 * Z_95)) ** 2 if math.isfinite(part.high - part.low) else 0.0 for part in parts
    ]
    whole = math.fsum(part.value for part in parts if math.isfinite(part.value))
    if not whole > 0:  # of nothing there are no shares
        return [NOTHING] * len(parts)
    everything = math.fsum(variances)
    found = []
    for part, variance in zip(parts, variances, strict=True):
        share = part.value / whole if math.isfinite(part.value) else 0.0
        error = (1 - share) ** 2 * variance + share**2 * (everything - variance)
        one = _normal(share, error / whole**2, part.logged_count)
        found.append(
            Estimate(share, one.low, min(one.high, 1.0), part.logged_count, estimates.worse(one.grade, part.grade))
        )
    return found


def _normal(value: float, variance: float, rows: int) -> Estimate:
    half = Z_95 * math.sqrt(max(variance, 0.0))
    grade = graded(half, value) if value > 0 else "good"
    return Estimate(value, max(value - half, 0.0), value + half, rows, grade)
