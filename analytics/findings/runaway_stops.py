"""Runs that a limit stopped, canaries and unknown codes: which, when, in bursts, and which of them no rule is to blame for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.findings.runaway_keys import Key, key_of, text_or_none
from analytics.warehouse import records

if TYPE_CHECKING:
    from analytics.warehouse import Warehouse

GAP = timedelta(minutes=30)
"""A pause longer than this ends a burst."""
STALL = timedelta(minutes=2)
"""Timeouts of several strategies within this time are one stalled event loop."""
STALL_STRATEGIES = 3
MOST_LISTED = 20_000
"""Stopped runs of a window that are held one by one; of more, those of a minute are held together."""
_AROUND, _APART = timedelta(hours=3), timedelta(minutes=10)
"""What is usual is told by so long before and after, leaving out what is so near that it may be of the same stall."""
_CHANCE = 0.01
"""That in the whole window so many unrelated timeouts meet by chance."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A logged run that did not finish as it should; where there are very many, those of a version within one minute.

    Attributes:
        key: Which version.
        kind: ``limit`` (node or depth cap), ``timeout``, ``canary`` (the sandbox refused what no validated program holds) or
            ``unknown`` (a code of the engine that is not known here).
        at: End of the run, of several the first; None when the row has no usable time.
        user: Verbatim, personal data; None when not logged, or when there are several.
        error_code: As logged.
        stalled: A timeout that is part of a stalled event loop.
        logged_count: Runs that it stands for.
        last: End of the last of them.
        users: Hashes of their distinct users, where it stands for a minute.
    """

    key: Key
    kind: str
    at: datetime | None
    user: str | None
    error_code: str | None
    stalled: bool = False
    logged_count: int = 1
    last: datetime | None = None
    users: frozenset[Any] | None = None

    @property
    def until(self) -> datetime | None:
        """End of the last run."""
        return self.last or self.at


def stop_count(stops: Iterable[Stop]) -> int:
    """Logged runs that they stand for; all failures are meant to be kept, so this counts runs."""
    return sum(stop.logged_count for stop in stops)


def users_of(stops: Iterable[Stop]) -> tuple[int, str | None]:
    """How many distinct users met them, and who, when it was one; the log may not name any."""
    users: set[Any] = set()
    known: str | None = None
    for stop in stops:
        users.update(stop.users if stop.users is not None else [] if stop.user is None else [stop.user])
        known = stop.user or known
    return len(users), known if len(users) == 1 else None


@dataclass(frozen=True, slots=True)
class Burst:
    """Stops close to each other in time.

    Attributes:
        kind: ``limit``, ``timeout``, ``canary``, ``unknown``, or ``stall``: a stalled event loop, no rule to blame.
        key: Which version; None for a stall, which concerns several.
        since, until: First and last of them.
        count: Logged runs; all failures are meant to be kept, so this counts runs.
        users: Distinct users in the log; 0 when none is logged.
        strategies: Distinct families.
        user: The only user, when there is one; verbatim.
    """

    kind: str
    key: Key | None
    since: datetime
    until: datetime
    count: int
    users: int
    strategies: int
    user: str | None


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
    found = [
        Stop(
            key_of(row["realm_id"], row["strategy"], row["strategy_version"]),
            row["kind"],
            _moment(row["first_at" if many else "created_at"]),
            text_or_none(row["only_user" if many else "external_user_id"]),
            text_or_none(row["error_code"]),
            **(_minute(row) if many else {}),
        )
        for row in records(minutes if many else lake.run("limit_runs", since=since, until=until))
    ]
    found.sort(key=lambda stop: (stop.at is None, stop.at or datetime.min))
    return mark_stalls(found)


def _minute(row: dict[str, Any]) -> dict[str, Any]:
    users = row["users"]
    return {
        "logged_count": int(row["logged_count"]),
        "last": _moment(row["last_at"]),
        "users": frozenset(users if users is not None else ()),
    }


def bursts(stops: Sequence[Stop]) -> list[Burst]:
    """Stops as bursts: one per version and kind until a pause of 30 minutes, stalls across versions; oldest first."""
    groups: dict[tuple[Any, ...], list[list[Stop]]] = {}
    for stop in stops:
        if stop.at is None:
            continue
        lane = ("stall", None) if stop.stalled else (stop.kind, stop.key)
        gap = STALL if stop.stalled else GAP
        runs = groups.setdefault(lane, [])
        before = runs[-1][-1].until if runs else None
        if before is None or stop.at - before > gap:
            runs.append([])
        runs[-1].append(stop)
    found = [_burst(lane[0], lane[1], group) for lane, several in groups.items() for group in several]
    return sorted(found, key=lambda burst: (burst.since, burst.kind))


def _burst(kind: str, key: Key | None, group: list[Stop]) -> Burst:
    first = min(stop.at for stop in group if stop.at)
    last = max(stop.until for stop in group if stop.until)
    users, alone = users_of(group)
    families = {stop.key.family for stop in group}
    return Burst(kind, key, first, last, stop_count(group), users, len(families), alone)


def mark_stalls(stops: list[Stop]) -> list[Stop]:
    """Marks timeouts of three strategies or more within two minutes: unrelated rules do not run away together.

    Where timeouts are many, some meet by chance. So those beside the strategy that has most of them must be more than a
    Poisson process of the rate around brings together in one of a hundred such windows (a scan statistic; Naus, *JASA* 60,
    1965, bounded by the sum over all places where two minutes may begin).
    """
    timeouts = [(index, stop) for index, stop in enumerate(stops) if stop.kind == "timeout" and stop.at is not None]
    chance = _by_chance([stop for _, stop in timeouts])
    marked: set[int] = set()
    first = 0
    families: Counter[tuple[str | None, str]] = Counter()
    for last, (_, stop) in enumerate(timeouts):
        families[stop.key.family] += stop.logged_count
        while _later(stop, timeouts[first][1]) > STALL:
            families[timeouts[first][1].key.family] -= timeouts[first][1].logged_count
            first += 1
        counts = +families
        if len(counts) >= STALL_STRATEGIES and counts.total() - max(counts.values()) > chance[last]:
            marked.update(index for index, _ in timeouts[first : last + 1])
    return [replace(stop, stalled=True) if index in marked else stop for index, stop in enumerate(stops)]


def _by_chance(timeouts: list[Stop]) -> list[int]:
    """How many more may follow within two minutes by chance; of each of these timeouts, in ascending order of time."""
    import numpy as np
    from scipy import stats

    if not timeouts:
        return []
    at = np.array([stop.at.timestamp() for stop in timeouts if stop.at is not None])
    before = np.cumsum([0, *(stop.logged_count for stop in timeouts)])
    far, near = _AROUND.total_seconds(), _APART.total_seconds()
    around, close = (
        before[np.searchsorted(at, at + span, "right")] - before[np.searchsorted(at, at - span, "left")]
        for span in (far, near)
    )
    expected = (around - close) * STALL.total_seconds() / (2 * (far - near))
    return [int(count) for count in stats.poisson.isf(_CHANCE / before[-1], expected)]


def _later(stop: Stop, other: Stop) -> timedelta:
    return stop.at - other.at if stop.at and other.at else timedelta()


def _moment(value: Any) -> datetime | None:
    # NaT, which stands for NULL in a frame, differs from itself.
    return value.to_pydatetime() if value is not None and value == value else None
