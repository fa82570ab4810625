"""Stretches of a window in which no strategy in sight was logged, though the usual rate of those hours has many rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from analytics.findings.pauses import DAY, Minutes, Pause, pauses
from analytics.status import coverage
from analytics.window import ONE_DAY, Window, midnight

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse import Warehouse

_BEFORE_WINDOW, _HISTORY = timedelta(days=7), timedelta(days=14)
"""How many days before the window, and before its end, say what is usual: as far as other parts of a report look back."""
MOST_DAYS = 92
"""Days, the last ones, that are looked at: a row of 1970 must not make a calendar of all days since."""
STRATEGIES = 3
"""That are usually heard of in those minutes: the silence of fewer is theirs, and says nothing of the log."""
_EPOCH = 3 * DAY
"""Minutes from a Monday to 1970."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No row of any strategy in sight: rows were lost, or nothing ran.

    Attributes:
        since: The last row before it, UTC.
        until: The first row after it; the end of what is known where none came.
        expected_rows, low, high: Logged rows that are usual there, and 95 % of what single days hold.
        strategies: How many of them usually leave a row in such a stretch.
    """

    since: datetime
    until: datetime
    expected_rows: float
    low: float
    high: float
    strategies: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "expected_rows": round(self.expected_rows, 1),
            "low": round(self.low, 1),
            "high": round(self.high, 1),
            "strategies": self.strategies,
        }


@dataclass(frozen=True, slots=True)
class Silences:
    """What the arrival of rows says of a window.

    Attributes:
        found: In order of time.
        reason: Why it cannot be told, in words; empty where it can.
        scope: Whose strategies were in sight, where others may have gone on; empty for all.
    """

    found: tuple[Silence, ...] = ()
    reason: str = ""
    scope: str = ""


def silences(lake: Warehouse, since: datetime, until: datetime) -> Silences:
    """Look for silences in a window.

    Args:
        lake: All it is scoped to: who sees one tenant is told of that one.
        since, until: The window, UTC.
    """
    start = midnight(min(since - _BEFORE_WINDOW, until - _HISTORY).date())
    rows = lake.run("arrivals_by_minute", since=start, until=until)
    days = [record.day for record in lake.records() if record.day is not None and record.day < until.date() + ONE_DAY]
    until = min(until, midnight(max(days, default=until.date())) + ONE_DAY)
    start, is_whole = max(start, until - MOST_DAYS * ONE_DAY), until - since <= MOST_DAYS * ONE_DAY
    rows = rows[rows["minute"] >= start].reset_index(drop=True)
    scope = ("of this realm" if len(lake.realms) == 1 else "in sight") if lake.is_scoped else ""
    few = "too few rows are logged, on too few days like these, to tell a silent log from a quiet hour"
    if rows.empty:
        return Silences((), few, scope)
    minutes, zero = _minutes(lake, rows, start, until)
    at = [_minute(moment) - zero for moment in (max(since, start), until)]
    found = pauses(minutes, max(at[0], 0), at[1])
    if found is None:
        return Silences((), few, scope)
    most = "" if is_whole else f"only the last {MOST_DAYS} days of the window were looked at"
    if not found:
        return Silences((), most, scope)
    hours = lake.run("arrivals_by_hour", since=start, until=until)
    told = [_silence(pause, rows, hours, zero, until) for pause in found]
    kept = tuple(one for one in told if one.strategies >= STRATEGIES)
    alone = "fewer than three strategies are usually heard of at that time, and their silence says nothing of the log"
    return Silences(kept, most if kept else alone, scope)


def _minutes(lake: Warehouse, rows: pd.DataFrame, start: datetime, until: datetime) -> tuple[Minutes, int]:
    """Rows by minute from the first one on, and which minute since 1970 that is."""
    at = (rows["minute"].dt.tz_localize(None).to_numpy().astype("datetime64[m]")).astype(np.int64)
    zero = int(at[0])
    counts = np.zeros(_minute(until) - zero)
    counts[at - zero] = rows["logged_count"].to_numpy(float)
    held = np.ones(len(counts), dtype=bool)
    known = coverage(lake, Window(start, until))
    for day in known.missing:
        place = _minute(midnight(day)) - zero
        held[max(place, 0) : max(place + DAY, 0)] = False
    for day in known.partial:
        end = midnight(day) + ONE_DAY
        from_here = max(midnight(day), min(known.complete_until or midnight(day), end))
        held[max(_minute(from_here) - zero, 0) : max(_minute(end) - zero, 0)] = False
    return Minutes(counts, held, zero + _EPOCH), zero


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)


def _silence(pause: Pause, rows: pd.DataFrame, hours: pd.DataFrame, zero: int, until: datetime) -> Silence:
    at = rows["minute"].dt.tz_localize(None).to_numpy().astype("datetime64[m]").astype(np.int64) - zero
    since = rows["last_at"].iloc[int(np.searchsorted(at, pause.start))].to_pydatetime()
    if pause.is_open:
        end = min(datetime.fromtimestamp((pause.stop + zero) * 60, tz=until.tzinfo), until)
    else:
        end = rows["first_at"].iloc[int(np.searchsorted(at, pause.stop))].to_pydatetime()
    return Silence(since, end, pause.expected, pause.low, pause.high, _strategies(hours, since, end))


def _strategies(hours: pd.DataFrame, since: datetime, until: datetime) -> int:
    """How many leave at least one row in such a stretch on an average day of its kind."""
    hour = hours["hour"].dt.tz_localize(None)
    first, last = (np.datetime64(moment.replace(tzinfo=None), "m") for moment in (since, until))
    ends = [int(moment.astype("datetime64[h]").astype(np.int64)) for moment in (first, last)]
    touched = {each % 24 for each in range(ends[0], ends[1] + 1)}
    is_weekend = since.weekday() >= 5
    own = {since.date() + i * ONE_DAY for i in range((until.date() - since.date()).days + 1)}
    like = ((hour.dt.day_of_week >= 5) == is_weekend) & ~hour.dt.date.isin(own)
    days = hour[like].dt.date.nunique()
    if not days:
        return 0
    there = hours[like & hour.dt.hour.isin(touched)]
    usual = there.groupby(["realm_id", "strategy"], dropna=False)["logged_count"].sum()
    part = float((last - first).astype(np.int64)) / (60 * len(touched))
    return int((usual / days * min(part, 1.0) >= 1).sum())
