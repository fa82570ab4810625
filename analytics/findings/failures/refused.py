"""Ok rows that may be missing of one strategy alone: they are few for its failures, which go on as before.

The log's table refuses a trace that holds NaN, Infinity, U+0000 or half of a surrogate pair. Such a run is ok and leaves no row,
while failures carry no trace and stay. The log cannot prove it: this names a possibility.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons
from analytics.findings.post_mortem.groups import run_estimate

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_BEFORE = timedelta(days=7)
_LEAST = 10
"""Failures, on both sides."""
_FEWER, _AS_MANY = 0.5, 1.5
"""Ok rows fell to half at most, and failures did not grow by more than half: else more runs fail, and that explains it."""
_CHANCE = 0.001
_MOST_FAIL = 0.5


@dataclass(frozen=True, slots=True)
class Refused:
    """Where ok rows may have been refused.

    Attributes:
        label: Version, ``v3``.
        since, until: Its time in the window, UTC.
        ok_count, failed_count: Logged rows then.
        ok_usual, failed_usual: Logged rows of the strategy in as many hours of that kind before; NaN without any.
    """

    label: str
    since: datetime
    until: datetime
    ok_count: int
    failed_count: int
    ok_usual: float
    failed_usual: float

    def to_dict(self) -> dict[str, object]:
        """As plain JSON values."""
        known = self.ok_usual == self.ok_usual
        return {
            "version": self.label,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "ok_logged_count": self.ok_count,
            "failed_count": self.failed_count,
            "usual_ok_logged_count": round(self.ok_usual, 1) if known else None,
            "usual_failed_count": round(self.failed_usual, 1) if known else None,
        }


def refused(runs: pd.DataFrame, since: datetime, until: datetime) -> list[Refused]:
    """Versions of a strategy whose ok rows are few for their failures.

    Args:
        runs: Logged runs of the strategy, from a week before the window on.
        since, until: The window, UTC.
    """
    inside = runs[(runs["created_at"] >= since) & (runs["created_at"] < until)]
    found = []
    for label, own in inside.groupby("label", observed=True, sort=True):
        if (own["status"] != "ok").sum() < _LEAST:
            continue
        first, last = own["created_at"].min().to_pydatetime(), own["created_at"].max().to_pydatetime()
        one = _judged(runs, own, str(label), first, last)
        found += [one] if one else []
    return found


def _judged(runs: pd.DataFrame, own: pd.DataFrame, label: str, first: datetime, last: datetime) -> Refused | None:
    earlier = runs[(runs["created_at"] >= first - _BEFORE) & (runs["created_at"] < first)]
    failed, ok = int((own["status"] != "ok").sum()), int((own["status"] == "ok").sum())
    if (earlier["status"] != "ok").sum() < _LEAST or not (earlier["status"] == "ok").any():
        rate = failed / max(run_estimate(own).high, failed)
        is_long = (runs["created_at"].min() <= first - timedelta(days=1)) and len(earlier) >= _LEAST
        return Refused(label, first, last, ok, failed, np.nan, np.nan) if rate > _MOST_FAIL and not is_long else None
    here, there = _hours(first, last), _hours(max(first - _BEFORE, runs["created_at"].min().to_pydatetime()), first)
    both = (here > 0) & (there > 0)
    own, earlier = own[both[_kind(own["created_at"])]], earlier[both[_kind(earlier["created_at"])]]
    factor = (here / np.where(there > 0, there, 1))[_kind(earlier["created_at"])]
    is_ok = earlier["status"].to_numpy() == "ok"
    ok_usual, failed_usual = float(factor[is_ok].sum()), float(factor[~is_ok].sum())
    ok, failed = int((own["status"] == "ok").sum()), int((own["status"] != "ok").sum())
    counts = (int((~is_ok).sum()), failed)
    if failed < _LEAST or counts[0] < _LEAST:
        return None
    chance = comparisons.rate_change_p(counts, (run_estimate(earlier), run_estimate(own)))
    is_so = ok <= _FEWER * ok_usual and failed <= _AS_MANY * failed_usual and chance < _CHANCE
    return Refused(label, first, last, ok, failed, ok_usual, failed_usual) if is_so else None


def _kind(times: pd.Series[pd.Timestamp]) -> npt.NDArray[np.int64]:
    """Hour of the day, of weekends after those of weekdays."""
    kinds: npt.NDArray[np.int64] = times.dt.hour.to_numpy() + 24 * (times.dt.day_of_week.to_numpy() >= 5)
    return kinds


def _hours(first: datetime, last: datetime) -> npt.NDArray[np.float64]:
    """How many hours of each kind lie between, parts of them counted as parts."""
    found, moment = np.zeros(48), first
    while moment < last:
        following = min(moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1), last)
        found[moment.hour + 24 * (moment.weekday() >= 5)] += (following - moment) / timedelta(hours=1)
        moment = following
    return found
