"""Did the sampling rate change without anybody saying so? What the log alone can tell."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FACTOR = 2.5
"""A smaller step is as well a weekend's."""
_ROWS = 20
"""Logged ok rows of a strategy in the two days around a step."""
_STRATEGIES = 4
_AGREEING = 0.75
_SPREAD = math.log(1.6)
"""By which strategies may differ from each other, chance aside."""
_ERRORS = 20
"""In the two days around a step: fewer do not tell traffic from sampling."""
_DAY = 24


def can_tell(rows: pd.DataFrame) -> bool:
    """Two days of four strategies are there, without which no step can be seen; ``rows`` as for ``steps``."""
    drawn = rows[rows["drawn_count"] > 0]
    if drawn.empty:
        return False
    span = (drawn["hour"].max() - drawn["hour"].min()).total_seconds() / 3600 + 1
    strategies = drawn.groupby(["realm_id", "strategy_id"], dropna=False).ngroups
    return bool(span >= 2 * _DAY and strategies >= _STRATEGIES)


def steps(rows: pd.DataFrame) -> list[str]:
    """A moment since which most strategies log several times as many ok rows as on the day before, and no more errors.

    All errors are logged, ok runs by the sampler. A change of traffic moves both, an incident or a campaign one strategy; a
    change of the rate moves the ok rows of all strategies by one factor, and no errors. Days are compared with days, so
    that the hour of the day plays no part; errors without those of the strategy that has most, which may be an incident.

    Args:
        rows: The query sampling_by_hour. Ok runs are taken by their weights, so that a change that was configured is none.

    Returns:
        A sentence, or none.
    """
    import numpy as np

    if rows.empty or not rows["est_ok_runs"].sum() > 0:
        return []
    hours = rows["hour"].dt.tz_localize(None).to_numpy().astype("datetime64[h]")
    at = (hours - hours.min()).astype(int)
    strategies = rows.groupby(["realm_id", "strategy_id"], dropna=False).ngroup().to_numpy()
    shape = (int(strategies.max()) + 1, int(at.max()) + 1)
    if shape[1] < 2 * _DAY or shape[0] < _STRATEGIES:
        return []
    ok, errors = np.zeros(shape), np.zeros(shape)
    # In units of rows, which says how much chance is in them.
    np.add.at(ok, (strategies, at), rows["est_ok_runs"] * rows["drawn_count"].sum() / rows["est_ok_runs"].sum())
    np.add.at(errors, (strategies, at), rows["error_count"])
    ok, errors = (np.pad(of.cumsum(axis=1), ((0, 0), (1, 0))) for of in (ok, errors))
    ends = np.arange(_DAY, shape[1] - _DAY + 1)  # of the earlier day, in hours from the first
    before, after = ok[:, ends] - ok[:, ends - _DAY], ok[:, ends + _DAY] - ok[:, ends]
    usable = before + after >= _ROWS
    grew = np.where(usable, np.log((after + 0.5) / (before + 0.5)), np.nan)
    middle = np.where(usable.sum(axis=0) >= _STRATEGIES, _median(grew), 0.0)
    best = int(np.abs(middle).argmax())
    step, end = float(middle[best]), ends[best]
    chance = np.sqrt(1 / (before[:, best] + 0.5) + 1 / (after[:, best] + 0.5))
    near = (np.abs(grew[:, best] - step) <= _SPREAD + 2 * chance)[usable[:, best]]
    if abs(step) < math.log(_FACTOR) or near.mean() < _AGREEING:
        return []
    moment = f"{hours.min() + end}".replace("T", " ")
    times = f"{math.exp(step):.2g} times as many"
    said = f"Since about {moment}:00 UTC {int(near.sum())} of {len(near)} strategies log {times} ok rows as on the day before"
    earlier, later = errors[:, end] - errors[:, end - _DAY], errors[:, end + _DAY] - errors[:, end]
    most = int((earlier + later).argmax())
    c, d = (float(np.delete(of, most).sum()) for of in (earlier, later))
    if c + d < _ERRORS:
        return [f"{said}: the sampling rate was changed then and no rate says so, or the traffic of all at once."]
    if abs(math.log((d + 0.5) / (c + 0.5))) > abs(step) / 2:
        return []  # the errors moved as well: it is the traffic
    return [f"{said}, but not so of errors: the sampling rate was changed then, and no rate says so."]


def _median(values: Any) -> Any:
    """Of each column, without NaN; 0 where nothing is left."""
    import numpy as np

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without a value
        return np.nan_to_num(np.nanmedian(values, axis=0))
