"""What a run that was stopped says: "at least", never "equal to"."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Booleans: TypeAlias = NDArray[np.bool_]

STOPPED = ("limit", "timeout")
"""Stopped by the node cap, the depth cap or the time limit: it would have gone on."""


def nodes(statuses: ArrayLike, counts: ArrayLike) -> tuple[Floats, Booleans]:
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


def durations(statuses: ArrayLike, milliseconds: ArrayLike) -> tuple[Floats, Booleans]:
    """Milliseconds per run, for ``quantiles``: those of stopped runs are "at least".

    Args:
        statuses: Of the runs.
        milliseconds: Their ``duration_ms``; what cannot be one (infinite, negative) is left out.
    """
    import numpy as np

    status, found = np.asarray(statuses, dtype=object), np.asarray(milliseconds, dtype=float)
    return np.where(np.isfinite(found) & (found >= 0), found, math.nan), np.isin(status, STOPPED)
