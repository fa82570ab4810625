"""Rows that are missing: stretches of a window that the usual rate of those hours does not explain, or ok rows of one strategy.

Of one strategy alone ok rows may be missing where they are few for its failures, which go on as before. The log's table refuses
a trace that holds NaN, Infinity, U+0000 or half of a surrogate pair. Such a run is ok and leaves no row, while failures carry
no trace and stay. The log cannot prove it: this names a possibility.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import comparisons
from analytics.estimates.estimate import TAIL
from analytics.findings.post_mortem.groups import run_estimate
from analytics.warehouse.coverage import coverage
from analytics.window import ONE_DAY, Window, midnight

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analytics.estimates.arrays import Bools, Floats, Ints
    from analytics.warehouse.warehouse import Warehouse

_BEFORE = timedelta(days=7)
_LEAST_ROWS = 10
"""Failures, on both sides."""
_FEWER, _AS_MANY = 0.5, 1.5
"""Ok rows fell to half at most, and failures did not grow by more than half: else more runs fail, and that explains it."""
_REFUSAL_CHANCE = 0.001
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


_USED = ("created_at", "label", "status", "sampled", "sample_weight", "window_rate")


def refused(runs: pd.DataFrame, since: datetime, until: datetime) -> list[Refused]:
    """Versions of a strategy whose ok rows are few for their failures.

    Args:
        runs: Logged runs of the strategy, from a week before the window on.
        since, until: The window, UTC.
    """
    runs = runs[[name for name in _USED if name in runs]]  # a selection copies all columns that there are
    inside = runs[(runs["created_at"] >= since) & (runs["created_at"] < until)]
    found = []
    for label, own in inside.groupby("label", observed=True, sort=True):
        if (own["status"] != "ok").sum() < _LEAST_ROWS:
            continue
        first, last = own["created_at"].min().to_pydatetime(), own["created_at"].max().to_pydatetime()
        one = _judged(runs, own, str(label), first, last)
        found += [one] if one else []
    return found


def _judged(runs: pd.DataFrame, own: pd.DataFrame, label: str, first: datetime, last: datetime) -> Refused | None:
    earlier = runs[(runs["created_at"] >= first - _BEFORE) & (runs["created_at"] < first)]
    failed, ok = int((own["status"] != "ok").sum()), int((own["status"] == "ok").sum())
    if (earlier["status"] != "ok").sum() < _LEAST_ROWS or not (earlier["status"] == "ok").any():
        rate = failed / max(run_estimate(own).high, failed)
        is_long = (runs["created_at"].min() <= first - timedelta(days=1)) and len(earlier) >= _LEAST_ROWS
        return Refused(label, first, last, ok, failed, np.nan, np.nan) if rate > _MOST_FAIL and not is_long else None
    here, there = _hours(first, last), _hours(max(first - _BEFORE, runs["created_at"].min().to_pydatetime()), first)
    both = (here > 0) & (there > 0)
    own, earlier = own[both[_kind(own["created_at"])]], earlier[both[_kind(earlier["created_at"])]]
    factor = (here / np.where(there > 0, there, 1))[_kind(earlier["created_at"])]
    is_ok = earlier["status"].to_numpy() == "ok"
    ok_usual, failed_usual = float(factor[is_ok].sum()), float(factor[~is_ok].sum())
    ok, failed = int((own["status"] == "ok").sum()), int((own["status"] != "ok").sum())
    counts = (int((~is_ok).sum()), failed)
    if failed < _LEAST_ROWS or counts[0] < _LEAST_ROWS:
        return None
    chance = comparisons.rate_change_p(counts, (run_estimate(earlier), run_estimate(own)))
    is_so = ok <= _FEWER * ok_usual and failed <= _AS_MANY * failed_usual and chance < _REFUSAL_CHANCE
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


DAY = 1440
"""Minutes."""
CHANCE = 0.002
"""That anything is found in a window in which nothing is wrong, as the tail has it; a fifth of what is promised."""
DAYS = 14
"""How far comparable days may lie apart."""
_AROUND = 120
"""Minutes before and after a pause, at least, that say how busy a day is."""
_LEAST_PAUSES = 100
_TAIL = (10, 30, 500)
"""One pause in ten is of the tail, at least and at most so many."""
_MAY_BE_REAL = 6
"""The longest pauses, and one in ten of the tail: what they are is not taken for usual."""
_LEAST = (10.0, 5.0)
"""Rows that the emptiest comparable day must have had in those minutes; the second emptiest, where there are four."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch without a row.

    Attributes:
        start, stop: The minutes of the last row before and of the first one after; ``stop`` is the end where none came.
        is_open: None came.
        expected, low, high: Rows that are usual there, and 95 % of what single days hold.
        comparable: Days it rests on.
    """

    start: int
    stop: int
    is_open: bool
    expected: float
    low: float
    high: float
    comparable: int


@dataclass(frozen=True, slots=True)
class Minutes:
    """Logged rows by minute.

    Attributes:
        counts: Of each minute.
        held: Whether the lake holds that minute.
        first: Minutes from a Monday's midnight to the first one.
    """

    counts: Floats
    held: Bools
    first: int

    @property
    def is_weekend(self) -> Bools:
        """Of each minute."""
        found: Bools = (np.arange(self.first, self.first + len(self.counts)) // DAY % 7) >= 5
        return found


def pauses(minutes: Minutes, since: int, until: int) -> list[Pause] | None:
    """Those of a window that chance does not explain, in order of time.

    Args:
        minutes: Of the window and the days before it.
        since, until: Places of the window among them.

    Returns:
        ``None`` where it cannot be told: too few rows, or no two comparable days.
    """
    start, stop, is_open = _stretches(minutes)
    inside = (stop > since) & (start < until)
    usual = _usual(minutes, start, stop)
    days = np.isfinite(usual).sum(axis=1)
    known = days >= 2
    if known.sum() < _LEAST_PAUSES or not (known & inside).any():
        return None
    score = np.full(len(start), np.nan)
    score[known] = _scores(usual[known], days[known])
    tried = inside & known
    chance = _tail(score[known], score[tried]) * tried.sum()
    ranked = np.sort(np.where(np.isfinite(usual), usual, np.inf)[tried], axis=1)
    enough = np.where(days[tried] >= 4, ranked[:, 1] >= _LEAST[1], ranked[:, 0] >= _LEAST[0])
    found = np.flatnonzero(tried)[(chance < CHANCE) & enough]
    spans = [(int(start[i]), int(stop[i])) for i in found]
    return [
        _told(_without(minutes, spans, span), *span, bool(is_open[i])) for i, span in zip(found, spans, strict=True)
    ]


def _stretches(minutes: Minutes) -> tuple[Ints, Ints, Bools]:
    """From each minute with a row to the next one, where the lake holds all between; the last one ends where the lake does."""
    held = minutes.held
    taken = np.flatnonzero((minutes.counts > 0) & held)
    if len(taken) == 0:
        return taken, taken, taken.astype(bool)
    ends = _run_ends(held)[taken]  # of the stretch that the lake holds
    following = np.append(taken[1:], np.iinfo(np.int64).max)
    is_open = following >= ends
    # Where more is held later, days are missing between: coverage tells those.
    is_last = ends == ends[-1]
    usable = (~is_open | is_last) & (np.minimum(following, ends) > taken)
    return taken[usable], np.minimum(following, ends)[usable], is_open[usable]


def _run_ends(held: Bools) -> Ints:
    """Of each minute, where the held stretch that it is in ends (exclusive)."""
    gone = np.append(np.flatnonzero(~held), len(held))
    return gone[np.searchsorted(gone, np.arange(len(held)))]


def _run_starts(held: Bools) -> Ints:
    gone = np.append(-1, np.flatnonzero(~held))
    return gone[np.searchsorted(gone, np.arange(len(held)), side="right") - 1] + 1


def _usual(minutes: Minutes, start: Ints, stop: Ints, *, at_most: float = 1.0) -> Floats:
    """Rows of the same minutes of each comparable day, times how busy the hours around are; NaN where no day is comparable."""
    counts, held, weekend = minutes.counts, minutes.held, minutes.is_weekend
    length = len(counts)
    total = np.append(0.0, np.cumsum(np.where(held, counts, 0.0)))
    gone = np.append(0, np.cumsum(~held))
    first, last = _run_starts(held), _run_ends(held)
    a, b = start + 1, np.maximum(stop, start + 1)  # the minutes between
    b = np.where(b > a, b, a)
    near = np.maximum(_AROUND, b - a)
    low_here, high_here = np.maximum(a - near, first[start]), np.minimum(b + near, last[start])
    shifts = [k * DAY for k in range(-DAYS, DAYS + 1) if k and abs(k) * DAY < length]
    usual = np.full((len(start), len(shifts)), np.nan)
    for column, shift in enumerate(shifts):
        fits = np.flatnonzero((start + shift >= 0) & (b + shift + 1 <= length))
        x, y = start[fits], b[fits]
        same = (weekend[x] == weekend[x + shift]) & (weekend[y - 1] == weekend[y - 1 + shift])
        same &= gone[np.minimum(y + shift + 1, length)] == gone[x + shift]
        fits = fits[same]
        p, q = a[fits], b[fits]
        low = np.maximum(low_here[fits], first[start[fits] + shift] - shift)
        high = np.minimum(high_here[fits], last[start[fits] + shift] - shift)
        here = total[high] - total[low] - (total[q] - total[p])
        other = total[p + shift] - total[low + shift] + total[high + shift] - total[q + shift]
        # Half of the minutes at both ends: the rows there are part of what is between two rows.
        ends = (counts[np.maximum(p - 1 + shift, 0)] + counts[np.minimum(q + shift, length - 1)]) / 2
        between = total[q + shift] - total[p + shift] + ends
        usual[fits, column] = between * np.minimum((here + 1) / (other + 1), at_most)
    return usual


def _scores(usual: Floats, days: Ints) -> Floats:
    """The mean without the fullest day; of two days the emptier."""
    sums, most = np.nansum(usual, axis=1), np.nanmax(usual, axis=1)
    found: Floats = (sums - most) / (days - 1)
    return found


def _tail(scores: Floats, wanted: Floats) -> Floats:
    """Chance of one pause to be as long as each of the wanted: the least favourable of an early and a late threshold."""
    from scipy import special

    ranked, n = np.sort(scores), len(scores)
    chance = np.zeros(len(wanted))
    one_in, least, most = _TAIL
    for k in {least, min(max(n // one_in, least), most)}:
        apart = max(_MAY_BE_REAL, k // 10)
        threshold, excess = ranked[n - k - 1], ranked[n - k :] - ranked[n - k - 1]
        m = k - apart
        # Of the longest only that they are longer: a censored exponential sample, at the upper end of its mean's interval.
        total = float(excess[:m].sum() + apart * excess[m])
        mean = total / float(special.gammaincinv(m, 2 * TAIL))
        with np.errstate(over="ignore"):
            beyond = np.exp(-(wanted - threshold) / mean) if mean > 0 else np.where(wanted > threshold, 0.0, 1.0)
        chance = np.maximum(chance, np.minimum(beyond * k / n, 1.0))
    return chance


def _without(minutes: Minutes, spans: list[tuple[int, int]], own: tuple[int, int]) -> Minutes:
    """Without the minutes of the other pauses, on all days: how busy a day is, is not told by what it has lost."""
    counts = minutes.counts.copy()
    for start, stop in spans:
        for shift in range(-DAYS * DAY, (DAYS + 1) * DAY, DAY) if (start, stop) != own else ():
            counts[max(start + 1 + shift, 0) : max(stop + shift, 0)] = 0
    return replace(minutes, counts=counts)


def _told(minutes: Minutes, start: int, stop: int, is_open: bool) -> Pause:
    """How many rows are usual: the mean of comparable days, and what one more day would hold (95 %)."""
    from scipy import special

    usual = _usual(minutes, np.array([start]), np.array([stop]), at_most=math.inf)[0]
    usual = usual[np.isfinite(usual)]
    n, mean = len(usual), float(usual.mean())
    spread = math.sqrt(max(float(usual.var(ddof=1)), mean) * (1 + 1 / n))
    half = float(special.stdtrit(n - 1, 1 - TAIL)) * spread
    return Pause(start, stop, is_open, mean, max(mean - half, 0.0), mean + half, n)


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

    def to_dict(self) -> dict[str, object]:
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
