"""What a program pays beyond what was paid, of a part of the runs: a day, a group of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimators
from analytics.estimates.estimate import Estimate
from analytics.findings.replay.paired import mean_of

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ["points", "low", "weight", "is_changed"]
"""Columns that say what a program pays beyond: of parts of a million rows, no others are copied."""


def beyond_per_run(rows: pd.DataFrame, reach: tuple[float, float]) -> Estimate:
    """The mean difference of some decided runs.

    Where no logged one is paid otherwise, that says how seldom one is (`estimators.share_of_runs`), and nothing of how much it is
    then: that is bounded by what the program may pay at all.

    Args:
        rows: Of `RehearsedRuns.rows`, decided ones; at least one.
        reach: The least and the most that the program may pay beyond what a run was paid.
    """
    weight = rows["weight"].to_numpy(float)
    if rows["is_changed"].to_numpy(bool).any() or weight.max() <= 1:
        return mean_of((rows["low"] - rows["points"]).to_numpy(float), weight).as_difference()
    seldom = estimators.share_of_runs(np.zeros(len(rows), dtype=bool), weight).high
    return Estimate(0.0, seldom * reach[0], seldom * reach[1], len(rows), "too few")
