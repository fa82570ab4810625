"""Runs that a limit stopped, canaries, unknown codes: which, when, in bursts; and stalls that no rule is to blame for."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from analytics.findings.runaway.keys import Key, key_of, text_or_none
from analytics.warehouse.warehouse import records

if TYPE_CHECKING:
    import pandas as pd

    from analytics.findings.runaway.keys import FamilyKey
    from analytics.warehouse.warehouse import Warehouse


class StopKind(StrEnum):
    """Why a run did not finish as it should."""

    LIMIT = "limit"
    """The cap of nodes or depth."""
    TIMEOUT = "timeout"
    CANARY = "canary"
    """The sandbox refused what no validated program holds."""
    UNKNOWN = "unknown"
    """A code of the engine that is not known here."""
    STALL = "stall"
    """Of a burst: what is taken for a stalled event loop."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A logged run that did not finish as it should; where there are very many, those of a version within one minute.

    Attributes:
        key: Which version.
        kind: Why; a run alone is no stall.
        at: End of the run, of several the first; None when the row has no usable time.
        user: Verbatim, personal data; None when not logged, or when there are several.
        error_code: As logged.
        stall: Of a timeout that is part of a stalled event loop, which of the stalls of its window; else None.
        logged_count: Runs that it stands for.
        last: End of the last of them.
        users: Hashes of their distinct users, where it stands for a minute.
        execution_id: Of the run, where it stands for one.
    """

    key: Key
    kind: StopKind
    at: datetime | None
    user: str | None
    error_code: str | None
    stall: int | None = None
    logged_count: int = 1
    last: datetime | None = None
    users: frozenset[str] | None = None
    execution_id: str | None = None

    @property
    def stalled(self) -> bool:
        """Whether it is part of a stalled event loop."""
        return self.stall is not None

    @property
    def until(self) -> datetime | None:
        """End of the last run."""
        return self.last or self.at


def stop_count(stops: Iterable[Stop]) -> int:
    """Logged runs that they stand for; all failures are meant to be kept, so this counts runs."""
    return sum(stop.logged_count for stop in stops)


def users_of(stops: Iterable[Stop]) -> tuple[int, str | None]:
    """How many distinct users met them, and who, when it was one; the log may not name any."""
    users: set[str] = set()
    known: str | None = None
    for stop in stops:
        users.update(stop.users if stop.users is not None else [] if stop.user is None else [stop.user])
        known = stop.user or known
    return len(users), known if len(users) == 1 else None


@dataclass(frozen=True, slots=True)
class Burst:
    """Stops close to each other in time.

    Attributes:
        kind: Why.
        key: Which version; None for a stall, which concerns several.
        since, until: First and last of them.
        count: Logged runs; all failures are meant to be kept, so this counts runs.
        users: Distinct users in the log; 0 when none is logged.
        strategies: Distinct families.
        user: The only user, when there is one; verbatim.
    """

    kind: StopKind
    key: Key | None
    since: datetime
    until: datetime
    count: int
    users: int
    strategies: int
    user: str | None


CONFIDENCE = 0.95
"""With which a beginning, and an end, lies in its interval."""


@dataclass(frozen=True, slots=True)
class Ends:
    """The beginning and the end of a condition under which runs are stopped at a steady rate.

    Attributes:
        began_after: It had not begun then; None where the log does not reach back far enough to tell.
        first, last: Its first and last stopped run: it had begun, and had not ended.
        ended_before: It had ended then; None where it may go on after the time that is known.
    """

    began_after: datetime | None
    first: datetime
    last: datetime
    ended_before: datetime | None


def reach_beyond(count: int, span: timedelta) -> timedelta | None:
    """How far beyond its first or last event a steady process may reach; None where one moment tells no rate.

    The classical bound of a range's endpoint (Strauss & Sadler, *Mathematical Geology* 21, 1989): of ``n`` moments that lie evenly
    in an unknown stretch, the one end is farther from the outermost than ``r`` times their span with probability
    ``(1 + r) ** -(n - 1)``.

    Args:
        count: Events.
        span: From the first to the last.
    """
    if count < 2 or not span:
        return None
    times: float = (1 - CONFIDENCE) ** (-1 / (count - 1)) - 1
    return span * times


def burst_ends(group: Sequence[Burst], known_since: datetime, known_until: datetime) -> Ends:
    """The ends of what made some bursts: it begins with the first of them, and ends with the last.

    Args:
        group: Of one kind and version, or a stall; oldest first.
        known_since, known_until: Time in which every stopped run is known.
    """
    first, last = group[0], group[-1]
    earlier = reach_beyond(first.count, first.until - first.since)
    later = reach_beyond(last.count, last.until - last.since)
    began = first.since - earlier if earlier is not None and earlier < first.since - known_since else None
    ended = last.until + later if later is not None and later < known_until - last.until else None
    return Ends(began, first.since, last.until, ended)


def is_gone(count: float, runs_before: float, runs_since: float) -> bool:
    """Whether that none came among some runs says that the rate is another one.

    Were it the same, each of the earlier events would have fallen among the earlier runs by chance: all of them with probability
    ``(before / (before + since)) ** count``. One event tells little: nineteen times its runs have to go by.

    Args:
        count: Events before.
        runs_before: Runs among which they were, rather too many than too few.
        runs_since: Runs without one, rather too few than too many.
    """
    if count <= 0 or runs_before <= 0 or runs_since <= 0:
        return False
    return bool((runs_before / (runs_before + runs_since)) ** count <= 1 - CONFIDENCE)


STALL = timedelta(minutes=2)
"""Timeouts of several strategies within this time are looked at together."""
STRATEGIES = 3
APART = timedelta(minutes=10)
"""A pause longer than this ends a stall: what is nearer may be of the same one."""
_FAR = timedelta(hours=3)
"""What is usual is told by so long before and after."""
_CHANCE = 0.01
"""That in the whole window so many unrelated timeouts meet by chance."""
_EDGE, _STRANGER = timedelta(minutes=3), 0.05
"""The next timeout before or after a stall is its own if no farther off, and if the chance of a stranger there is smaller."""
_ROUNDS = 4
"""What is usual is told anew without the stalls that were found, until no more of them is; that ends within a few rounds."""

Span = tuple[int, int]
"""First and last of a stall, places among the timeouts."""


@dataclass(frozen=True, slots=True)
class _Timeouts:
    """Timeouts in the order of time.

    Attributes:
        at: Seconds since the epoch.
        end: The same of the last run that each stands for.
        counts: Runs that each stands for.
        families: Whose.
        known: The time in which they are all known, seconds.
        before: Runs before each of them, and of all.
        own: Of each family the places.
    """

    at: Sequence[float]
    end: Sequence[float]
    counts: Sequence[int]
    families: Sequence[FamilyKey]
    known: tuple[float, float]
    before: Sequence[int]
    own: dict[FamilyKey, list[int]]

    @classmethod
    def of(cls, stops: Sequence[Stop], known: tuple[datetime, datetime] | None) -> _Timeouts:
        at = [stop.at.timestamp() for stop in stops if stop.at is not None]
        end = [stop.until.timestamp() for stop in stops if stop.until is not None]
        counts = [stop.logged_count for stop in stops]
        families = [stop.key.family for stop in stops]
        own: dict[FamilyKey, list[int]] = {}
        for place, family in enumerate(families):
            own.setdefault(family, []).append(place)
        ends = (known[0].timestamp(), known[1].timestamp()) if known else (min(at), max(at))
        return cls(at, end, counts, families, ends, [0, *accumulate(counts)], own)

    def within(self, low: float, high: float) -> int:
        """Runs that timed out in a time."""
        return self.before[bisect_right(self.at, high)] - self.before[bisect_left(self.at, low)]

    def of_family(self, family: FamilyKey, low: float, high: float) -> int:
        """The same of one strategy."""
        places = self.own[family]
        first = bisect_left(places, low, key=self.at.__getitem__)
        return sum(self.counts[place] for place in places[first : bisect_right(places, high, key=self.at.__getitem__)])


def mark_stalls(stops: list[Stop], known: tuple[datetime, datetime] | None = None) -> list[Stop]:
    """Marks the timeouts of each stall with its number: unrelated rules do not run away together.

    A stall shows where three strategies or more time out within two minutes, and those beside the strategy that has most of
    them are more than a Poisson process of the usual rate brings together in one of a hundred such windows (a scan statistic;
    Naus, *JASA* 60, 1965, bounded by the sum over all places where two minutes may begin). Such moments with no more than ten
    minutes between them are one stall: an event loop may stand still again and again. It begins and ends where the next timeout
    is farther off than three minutes, or than a stranger is with a chance of one in twenty. All timeouts in between are its own,
    but for those of a strategy that times out about as often around it: they are not excused.

    Args:
        stops: Oldest first, those without a time last.
        known: Time in which all of them are known; else that from the first to the last.
    """
    places = [place for place, stop in enumerate(stops) if stop.kind == StopKind.TIMEOUT and stop.at is not None]
    if not places:
        return stops
    found = _Timeouts.of([stops[place] for place in places], known)
    spans: list[Span] = []
    for _ in range(_ROUNDS):
        again = _joined(found, [*spans, *_dense(found, spans)])
        again = _joined(found, [_fitted(found, span, again) for span in again])
        if again == spans:
            break
        spans = again
    marked = {
        places[place]: number for number, span in enumerate(spans) for place in _members(found, span, spans)
    }  # fmt: skip
    return [replace(stop, stall=marked[place]) if place in marked else stop for place, stop in enumerate(stops)]


def _dense(found: _Timeouts, closed: Sequence[Span]) -> list[Span]:
    """Two minutes each in which timeouts of several strategies meet more closely than by chance."""
    from scipy import special

    dense: list[Span] = []
    first = 0
    counts: Counter[FamilyKey] = Counter()
    chance = _CHANCE / found.before[-1]
    for last, family in enumerate(found.families):
        counts[family] += found.counts[last]
        while found.at[last] - found.at[first] > STALL.total_seconds():
            counts[found.families[first]] -= found.counts[first]
            first += 1
        present = +counts
        if len(present) < STRATEGIES:
            continue
        [(most, count)] = present.most_common(1)
        others = present.total() - count
        of_all, of_most = (_rate(found, found.at[last], closed, whose) for whose in (None, most))
        usual = max(of_all - of_most, 0.0) * STALL.total_seconds()
        # The chance of at least so many.
        if float(special.pdtrc(others - 1, usual)) <= chance:
            dense.append((first, last))
    return dense


def _rate(found: _Timeouts, moment: float, closed: Sequence[Span], family: FamilyKey | None = None) -> float:
    """Timeouts per second around a moment, of all or of one strategy."""
    count, seconds = _around(found, moment, closed, family)
    return count / seconds if seconds > 0 else 0.0


def _rate_of_new(found: _Timeouts, moment: float, closed: Sequence[Span]) -> float:
    """The same of strategies that were not seen around it: as many per second as were seen once (Good, *Biometrika* 40, 1953)."""
    counted = [_around(found, moment, closed, family) for family in found.own]
    return sum(count == 1 for count, _ in counted) / counted[0][1] if counted[0][1] > 0 else 0.0


def _around(
    found: _Timeouts, moment: float, closed: Sequence[Span], family: FamilyKey | None = None
) -> tuple[int, float]:
    """Timeouts around a moment and the seconds they are of, stalls and what may be of the same one left out.

    Of a time that is not known, as before the window, nothing is counted and no second either.
    """
    far, near = _FAR.total_seconds(), APART.total_seconds()
    low, high = max(moment - far, found.known[0]), min(moment + far, found.known[1])
    left_out = sorted([(moment - near, moment + near), *((found.at[a], found.end[b]) for a, b in closed)])
    count, seconds, reached = 0, 0.0, low
    for begin, end in [*left_out, (high, high)]:
        stop = min(begin, high)
        if stop > reached:
            seconds += stop - reached
            inside = math.nextafter(reached, math.inf), math.nextafter(stop, -math.inf)
            count += found.within(*inside) if family is None else found.of_family(family, *inside)
        reached = max(reached, end)
    return count, seconds


def _joined(found: _Timeouts, spans: Sequence[Span]) -> list[Span]:
    """Spans with no more than ten minutes between them are one."""
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and found.at[first] - found.end[joined[-1][1]] <= APART.total_seconds():
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined


def _fitted(found: _Timeouts, span: Span, closed: Sequence[Span]) -> Span:
    """A span up to where the next timeout may be a stranger's, and without strangers at its ends.

    One of a strategy that times out at other times too has to be as near as the stall's own timeouts are to each other.
    """
    first, last = span
    middle = (found.at[first] + found.at[last]) / 2
    new = _rate_of_new(found, middle, closed)
    near = min(_EDGE.total_seconds(), -math.log1p(-_STRANGER) / new if new else math.inf)
    inside = found.before[last + 1] - found.before[first]
    reach = reach_beyond(inside, timedelta(seconds=found.end[last] - found.at[first]))
    nearer = min(near, reach.total_seconds() if reach else 0.0)

    def is_own(place: int, gap: float) -> bool:
        return gap <= nearer or (gap <= near and not _rate(found, middle, closed, found.families[place]))

    # Two minutes that are dense may begin with a stranger.
    while first < last and not is_own(first, found.at[first + 1] - found.end[first]):
        first += 1
    while first < last and not is_own(last, found.at[last] - found.end[last - 1]):
        last -= 1
    while first > 0 and is_own(first - 1, found.at[first] - found.end[first - 1]):
        first -= 1
    while last + 1 < len(found.at) and is_own(last + 1, found.at[last + 1] - found.end[last]):
        last += 1
    return first, last


def _members(found: _Timeouts, span: Span, closed: Sequence[Span]) -> list[int]:
    """Those of a span, but for strategies of which as many are usual in such a time as are not."""
    begin, end = found.at[span[0]], found.end[span[1]]
    counts: Counter[FamilyKey] = Counter()
    for place in range(span[0], span[1] + 1):
        counts[found.families[place]] += found.counts[place]
    own = {
        family
        for family, count in counts.items()
        if 2 * (end - begin) * _rate(found, (begin + end) / 2, closed, family) < count
    }
    return [place for place in range(span[0], span[1] + 1) if found.families[place] in own]


GAP = timedelta(minutes=30)
"""A pause longer than this ends a burst."""
MOST_LISTED = 20_000
"""Stopped runs of a window that are held one by one; of more, those of a minute are held together."""


def stopped(
    lake: Warehouse, since: datetime | None, until: datetime | None, *, most_listed: int = MOST_LISTED
) -> list[Stop]:
    """Every limit, timeout and canary run of the window, and those with unknown codes, oldest first; a stall's are marked.

    Args:
        lake: Where they are.
        since, until: The window, UTC.
        most_listed: Above so many, those of a version within one minute are one `Stop`.
    """
    minutes = lake.run("stops_by_minute", since=since, until=until)
    many = len(minutes) > 0 and int(minutes["logged_count"].sum()) > most_listed
    rows = records(minutes if many else lake.run("limit_runs", since=since, until=until))
    found = [_minute(row) if many else _run(row) for row in rows]
    found.sort(key=lambda stop: (stop.at is None, stop.at or _NEVER))
    return mark_stalls(found, (since, until) if since and until else None)


_NEVER = datetime.min.replace(tzinfo=UTC)


def _run(row: Mapping[str, Any]) -> Stop:
    """A row of the query limit_runs."""
    return Stop(
        key_of(row["realm_id"], row["strategy"], row["strategy_version"]),
        StopKind(row["kind"]),
        _moment(row["created_at"]),
        text_or_none(row["external_user_id"]),
        text_or_none(row["error_code"]),
        execution_id=str(row["execution_id"]),
    )


def _minute(row: Mapping[str, Any]) -> Stop:
    """A row of the query stops_by_minute."""
    users = row["users"]
    return Stop(
        key_of(row["realm_id"], row["strategy"], row["strategy_version"]),
        StopKind(row["kind"]),
        _moment(row["first_at"]),
        text_or_none(row["only_user"]),
        text_or_none(row["error_code"]),
        logged_count=int(row["logged_count"]),
        last=_moment(row["last_at"]),
        users=frozenset(users if users is not None else ()),
    )


def bursts(stops: Sequence[Stop]) -> list[Burst]:
    """Stops as bursts: one per version and kind until a pause of 30 minutes, each stall across versions; oldest first."""
    groups: dict[tuple[StopKind, Key | None, int | None], list[list[Stop]]] = {}
    for stop in stops:
        if stop.at is None:
            continue
        lane = (StopKind.STALL, None, stop.stall) if stop.stalled else (stop.kind, stop.key, None)
        runs = groups.setdefault(lane, [])
        before = runs[-1][-1].until if runs else None
        if before is None or (stop.at - before > GAP and not stop.stalled):
            runs.append([])
        runs[-1].append(stop)
    found = [_burst(lane[0], lane[1], group) for lane, several in groups.items() for group in several]
    return sorted(found, key=lambda burst: (burst.since, burst.kind))


def _burst(kind: StopKind, key: Key | None, group: list[Stop]) -> Burst:
    first = min(stop.at for stop in group if stop.at)
    last = max(stop.until for stop in group if stop.until)
    users, only_user = users_of(group)
    families = {stop.key.family for stop in group}
    return Burst(kind, key, first, last, stop_count(group), users, len(families), only_user)


def _moment(value: pd.Timestamp | None) -> datetime | None:
    # NaT, which stands for NULL in a frame, differs from itself.
    return value.to_pydatetime() if value is not None and value == value else None
