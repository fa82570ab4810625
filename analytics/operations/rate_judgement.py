"""Whether the sampling rate was changed and no rate says so, judged from the log alone."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from analytics.estimates import significance

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from analytics.estimates.arrays import Array, Bools, Floats, Ints

_FACTOR = 2.5
"""A smaller step is as well a weekend's."""
_ROWS = 20
"""Logged ok rows of a strategy in the two days around a step."""
_STRATEGIES, _FEWEST = 4, 2
"""That seldom change together by chance; of fewer the errors must tell, and of one alone they may be what has changed."""
_AGREEING = 0.75
_SPREAD = math.log(1.6)
"""By which strategies may differ from each other, chance aside."""
_ERRORS = 20
"""In the two days around a step: fewer do not tell traffic from sampling."""
_SUSPECT = 3
"""Two move together too often for a word of doubt."""
_CHANCE = 0.001
"""That errors which moved with the ok rows look as if they had not."""
_DAY = 24
_NEEDED = (
    "two days with rows of two strategies are needed: of one alone a change of the rate looks like one of its traffic"
)
_ERRORS_NEEDED = (
    "of {} strategies a change of the rate looks like one of their traffic, unless errors tell, and in no two days are "
    "twenty logged besides those of the strategy that has most"
)


@dataclass(frozen=True, slots=True)
class RateJudgement:
    """What the log alone says of its rate.

    Attributes:
        contradictions: Why the rate that is said cannot be right, in sentences.
        undecided: Steps that a change of the rate would explain, and a change of traffic as well, in sentences.
        reason: Why nothing could be seen, in words; empty where a change would have been.
    """

    contradictions: list[str]
    undecided: list[str]
    reason: str


def judge_rates(rows: pd.DataFrame) -> RateJudgement:
    """A moment since which most strategies log several times as many ok rows as on the day before, and no more errors.

    All errors are logged, ok runs by the sampler. A change of traffic moves both, an incident or a campaign one strategy; a
    change of the rate moves the ok rows of all strategies by one factor, and no errors. Days are compared with days, so
    that the hour of the day plays no part; errors without those of the strategy that has most, which may be an incident.
    Two or three strategies may well change together: there all of them must agree, and the errors must speak.

    Args:
        rows: The query sampling_by_hour. Ok runs are taken by their weights, so that a change that was configured is none.
    """
    import numpy as np

    if rows.empty or not rows["est_ok_runs"].sum() > 0:
        return RateJudgement([], [], _NEEDED)
    growth = _growth(rows)
    if growth is None:
        return RateJudgement([], [], _NEEDED)
    is_few = growth.drawing < _STRATEGIES
    middle, told = _common_steps(growth)
    reason = _ERRORS_NEEDED.format(growth.drawing) if is_few and not told else ""
    best = int(np.abs(middle).argmax())
    step = float(middle[best])
    chance = np.sqrt(1 / (growth.before[:, best] + 0.5) + 1 / (growth.after[:, best] + 0.5))
    near = (np.abs(growth.steps[:, best] - step) <= _SPREAD + 2 * chance)[growth.usable[:, best]]
    if abs(step) < math.log(_FACTOR) or near.mean() < (1.0 if is_few else _AGREEING):
        return RateJudgement([], [], reason)
    moment = f"{growth.first + growth.ends[best]}".replace("T", " ")
    said = (
        f"Since about {moment}:00 UTC {int(near.sum())} of {len(near)} strategies log {math.exp(step):.2g} times as many ok rows "
        "as on the day before"
    )
    earlier, later = (float(of) for of in growth.other_errors[:, best])
    open_ = f"{said}: the sampling rate was changed then and no rate says so, or the traffic of all at once."
    if earlier + later < _ERRORS:
        if growth.drawing < _SUSPECT:
            return RateJudgement([], [], reason)
        return (
            RateJudgement([], [f"{open_} Too few errors are logged to tell."], reason)
            if is_few
            else RateJudgement([open_], [], "")
        )
    if abs(math.log((later + 0.5) / (earlier + 0.5))) > abs(step) / 2:
        return RateJudgement([], [], "")  # the errors moved as well: it is the traffic
    if is_few and _may_have_moved(earlier, later, step):
        return RateJudgement([], [f"{open_} The errors do not tell which."], "")
    return RateJudgement(
        [f"{said}, but not so of errors: the sampling rate was changed then, and no rate says so."], [], ""
    )


class _Growth(NamedTuple):
    """Ok rows of the day before and the day after each moment, strategy by strategy.

    Attributes:
        first: The first hour.
        ends: The moments, in hours from the first.
        drawing: Strategies of which anything was drawn.
        before, after: Rows of both days.
        usable: Where they are enough to compare.
        steps: Logarithm of their ratio; NaN where they are not.
        other_errors: Errors of both days without those of the strategy that has most.
    """

    first: np.datetime64
    ends: Ints
    drawing: int
    before: Floats
    after: Floats
    usable: Bools
    steps: Floats
    other_errors: Array


def _growth(rows: pd.DataFrame) -> _Growth | None:
    """By hour and strategy; None where there are too few of either."""
    import numpy as np

    hours = rows["hour"].dt.tz_localize(None).to_numpy().astype("datetime64[h]")
    at = (hours - hours.min()).astype(int)
    strategies = rows.groupby(["realm_id", "strategy_id"], dropna=False).ngroup().to_numpy()
    shape = (int(strategies.max()) + 1, int(at.max()) + 1)
    drawing = int((rows.groupby(["realm_id", "strategy_id"], dropna=False)["drawn_count"].sum() > 0).sum())
    if shape[1] < 2 * _DAY or drawing < _FEWEST:
        return None
    ok, errors = np.zeros(shape), np.zeros(shape)
    # In units of rows, which says how much chance is in them.
    np.add.at(ok, (strategies, at), rows["est_ok_runs"] * rows["drawn_count"].sum() / rows["est_ok_runs"].sum())
    np.add.at(errors, (strategies, at), rows["error_count"])
    ok, errors = (np.pad(of.cumsum(axis=1), ((0, 0), (1, 0))) for of in (ok, errors))
    ends = np.arange(_DAY, shape[1] - _DAY + 1)  # of the earlier day
    before, after = ok[:, ends] - ok[:, ends - _DAY], ok[:, ends + _DAY] - ok[:, ends]
    usable = before + after >= _ROWS
    steps = np.where(usable, np.log((after + 0.5) / (before + 0.5)), np.nan)
    return _Growth(hours.min(), ends, drawing, before, after, usable, steps, _rest_of_errors(errors, ends))


def _common_steps(growth: _Growth) -> tuple[Floats, bool]:
    """The median step of each moment, 0 where it cannot be judged; and whether errors tell of any of them."""
    import numpy as np

    is_few, ends = growth.drawing < _STRATEGIES, growth.ends
    hours = int(ends[-1]) + _DAY
    since_monday = int(growth.first.astype("datetime64[h]").astype(int)) + np.arange(hours) + 3 * _DAY
    is_weekend = since_monday // _DAY % 7 >= 5
    kinds = np.stack([is_weekend[ends - _DAY], is_weekend[ends - 1], is_weekend[ends], is_weekend[ends + _DAY - 1]])
    alike = (kinds == kinds[0]).all(axis=0)
    enough = growth.usable.sum(axis=0) >= (_FEWEST if is_few else _STRATEGIES)
    # Without errors to tell, a weekend is as good as a change of the rate.
    tells = growth.other_errors.sum(axis=0) >= _ERRORS
    usable = enough & (alike | (tells & (not is_few)))
    return np.where(usable, _median(growth.steps), 0.0), bool(tells.any())


def _rest_of_errors(errors: Array, ends: Ints) -> Array:
    """Errors of the day before and of the day after each moment, without the strategy that has most, which may be an incident."""
    import numpy as np

    days = np.stack([errors[:, ends] - errors[:, ends - _DAY], errors[:, ends + _DAY] - errors[:, ends]])
    most = days.sum(axis=0).argmax(axis=0)
    rest: Array = days.sum(axis=1) - np.take_along_axis(days, most[None, None, :], axis=1)[:, 0, :]
    return rest


def _may_have_moved(earlier: float, later: float, step: float) -> bool:
    """Whether chance may hide that the errors changed by the same factor: given their sum they are binomial."""
    share = math.exp(step) / (1 + math.exp(step))
    return significance.binomial_test(round(later), round(earlier + later), share) > _CHANCE


def _median(values: Array) -> Floats:
    """Of each column, without NaN; 0 where nothing is left."""
    import numpy as np

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without a value
        medians: Floats = np.nan_to_num(np.nanmedian(values, axis=0))
        return medians
