"""How a total grew over time, with the interval of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import Estimate

if TYPE_CHECKING:
    import pandas as pd

_MOST = 120


def running_total(times: pd.Series, values: pd.Series, weights: pd.Series, total: Estimate) -> pd.DataFrame:
    """The estimated total of the rows up to each of some moments.

    The variance of such a total is ``Σ w (w − 1) x²`` (Horvitz and Thompson, *J. Am. Stat. Assoc.* 47, 1952, for draws that do
    not depend on each other). Here it says only how the interval widens; at the end it is the one given.

    Returns:
        ``until``, ``est_overpaid``, ``est_overpaid_low``, ``est_overpaid_high``; at most so many moments, evenly among the rows.
    """
    import pandas as pd

    columns = ["until", "est_overpaid", "est_overpaid_low", "est_overpaid_high"]
    if not len(times):
        return pd.DataFrame(columns=columns)
    order = np.argsort(times.to_numpy(), kind="stable")
    x, w = values.to_numpy(float)[order], weights.to_numpy(float)[order]
    size = (
        float(np.max(np.abs(x))) or 1.0
    )  # only shares of the variance are asked for, and squares leave a double early
    grown, variance = np.cumsum(x * w), np.cumsum(w * np.maximum(w - 1, 0) * (x / size) ** 2)
    at = np.unique(np.linspace(0, len(order) - 1, min(_MOST, len(order))).astype(int))
    share = np.sqrt(variance[at] / variance[-1]) if variance[-1] > 0 else np.zeros(len(at))
    return pd.DataFrame(
        {
            "until": times.iloc[order[at]].to_numpy(),
            "est_overpaid": grown[at],
            "est_overpaid_low": grown[at] - share * (total.value - total.low),
            "est_overpaid_high": grown[at] + share * (total.high - total.value),
        }
    )
