"""What a version pays beyond the one before it, told from the earlier runs: where its own runs did not record what that takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analytics import estimates
from analytics.estimates import Estimate
from analytics.findings.paired import relative
from analytics.findings.rank_tests import strata
from analytics.findings.replayed import Replayed
from analytics.findings.sides import Side, paid, run_estimate
from analytics.ratios import Relative

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.sides import Floats, Ints

_LEAST = 5
"""Earlier runs of a kind of hour, for them to stand for it."""
_COVERED = 0.9
"""Share of the later runs whose kind of hour the earlier ones must hold."""


def transported(backward: Replayed, after: Side) -> tuple[Estimate, Relative | None] | None:
    """Points beyond the earlier program over all later runs, and their share of what that pays.

    Both programs were run on the earlier inputs. Every earlier run gets the weight that its kind of hour (weekday or weekend,
    quarter of the day) has among the later runs: post-stratification (Holt & Smith, *JRSS A* 142, 1979). That the same people
    send the same things at the same kinds of hours is assumed; what the programs pay for them is computed.

    Returns:
        None where the earlier runs do not hold the later ones' kinds of hours, or none of those that do is paid otherwise: that
        none of a sample differs does not make the difference nothing.
    """
    rows = backward.rows[backward.rows["decided"].to_numpy(bool)]
    later = paid(after.rows)
    if len(rows) < _LEAST or later.empty:
        return None
    old, new = _kinds(rows), _kinds(later)
    weights = later["sample_weight"].to_numpy(float, na_value=0.0)
    shares: Floats = np.bincount(new, weights=weights, minlength=8).astype(float)
    for whole in (False, True):
        kinds, wanted = (old // 4 * 4, _pooled(shares)) if whole else (old, shares)
        have = np.bincount(kinds, minlength=8) >= _LEAST
        if wanted[have].sum() >= _COVERED * wanted.sum():
            break
    else:
        return None
    held = np.bincount(kinds, weights=rows["weight"].to_numpy(float), minlength=8)
    factor: Floats = np.where(have & (held > 0), wanted / np.where(held > 0, held, 1.0), 0.0)[kinds]
    usable = factor > 0
    rows, weight = rows[usable], (rows["weight"].to_numpy(float) * factor)[usable]
    weight = weight / weight.min()  # only their proportions matter, but a weight below one is taken for none at all
    before, now = rows["points"].to_numpy(float), rows["would"].to_numpy(float)
    if np.allclose(before, now, rtol=1e-9, atol=1e-9):
        return None
    per_run = estimates.mean(now - before, weight, future=True)
    runs = run_estimate(later)
    value = per_run.value * runs.value
    # A product of two independent estimates, each with its error (Goodman, J. Am. Stat. Assoc. 55, 1960).
    low, high = (
        math.hypot((per_run.value - bound) * runs.value, per_run.value * (runs.high - runs.low) / 2)
        for bound in (per_run.low, per_run.high)
    )
    total = Estimate(
        value, value - low, value + high, len(rows), per_run.grade, per_run.effective_count
    ).as_difference()
    return total, relative(now, before, weight, future=True)


def _kinds(rows: pd.DataFrame) -> Ints:
    return strata(rows["created_at"].dt.as_unit("us").astype("int64").to_numpy())


def _pooled(shares: Floats) -> Floats:
    """Weekdays and weekends as wholes."""
    found = np.zeros(8)
    found[0], found[4] = shares[:4].sum(), shares[4:].sum()
    return found
