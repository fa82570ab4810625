"""Runs that a limit stopped and sandbox canaries: which, when, in bursts, and which of them no rule is to blame for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
_AROUND, _APART = timedelta(hours=3), timedelta(minutes=10)
"""What is usual is told by so long before and after, leaving out what is so near that it may be of the same stall."""
_CHANCE = 0.01
"""That in the whole window so many unrelated timeouts meet by chance."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One logged run that did not finish as it should.

    Attributes:
        key: Which version.
        kind: ``limit`` (node or depth cap), ``timeout`` or ``canary`` (the sandbox refused a field or statement).
        at: End of the run; None when the row has no usable time.
        user: Verbatim, personal data; None when not logged.
        duration_ms: Real, though the work is cut short.
        error_code: As logged.
        execution_id: Id of the run.
        stalled: A timeout that is part of a stalled event loop.
    """

    key: Key
    kind: str
    at: datetime | None
    user: str | None
    duration_ms: float
    error_code: str | None
    execution_id: str
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class Burst:
    """Stops close to each other in time.

    Attributes:
        kind: ``limit``, ``timeout``, ``canary``, or ``stall``: a stalled event loop, no rule to blame.
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


def stopped(lake: Warehouse, since: datetime | None, until: datetime | None) -> list[Stop]:
    """Every limit, timeout and canary run of the window, oldest first; timeouts of a stall are marked."""
    found = [
        Stop(
            key_of(row["realm_id"], row["strategy"], row["strategy_version"]),
            row["kind"],
            _moment(row["created_at"]),
            text_or_none(row["external_user_id"]),
            float(row["duration_ms"]),
            text_or_none(row["error_code"]),
            row["execution_id"],
        )
        for row in records(lake.run("limit_runs", since=since, until=until))
    ]
    found.sort(key=lambda stop: (stop.at is None, stop.at or datetime.min))
    return _mark_stalls(found)


def bursts(stops: Sequence[Stop]) -> list[Burst]:
    """Stops as bursts: one per version and kind until a pause of 30 minutes, stalls across versions; oldest first."""
    groups: dict[tuple[Any, ...], list[list[Stop]]] = {}
    for stop in stops:
        if stop.at is None:
            continue
        lane = ("stall", None) if stop.stalled else (stop.kind, stop.key)
        gap = STALL if stop.stalled else GAP
        runs = groups.setdefault(lane, [])
        before = runs[-1][-1].at if runs else None
        if before is None or stop.at - before > gap:
            runs.append([])
        runs[-1].append(stop)
    found = [_burst(lane[0], lane[1], group) for lane, several in groups.items() for group in several]
    return sorted(found, key=lambda burst: (burst.since, burst.kind))


def _burst(kind: str, key: Key | None, group: list[Stop]) -> Burst:
    times = [stop.at for stop in group if stop.at is not None]
    users = sorted({stop.user for stop in group if stop.user is not None})
    families = {stop.key.family for stop in group}
    alone = users[0] if len(users) == 1 else None
    return Burst(kind, key, times[0], times[-1], len(group), len(users), len(families), alone)


def _mark_stalls(stops: list[Stop]) -> list[Stop]:
    """Marks timeouts of three strategies or more within two minutes: unrelated rules do not run away together.

    Where timeouts are many, some meet by chance. So those beside the strategy that has most of them must be more than a
    Poisson process of the rate around brings together in one of a hundred such windows (a scan statistic; Naus, *JASA* 60,
    1965, bounded by the sum over all places where two minutes may begin).
    """
    timeouts = [(index, stop) for index, stop in enumerate(stops) if stop.kind == "timeout" and stop.at is not None]
    chance = _by_chance([stop.at for _, stop in timeouts if stop.at is not None])
    marked: set[int] = set()
    first = 0
    families: Counter[tuple[str | None, str]] = Counter()
    for last, (_, stop) in enumerate(timeouts):
        families[stop.key.family] += 1
        while _later(stop, timeouts[first][1]) > STALL:
            families[timeouts[first][1].key.family] -= 1
            first += 1
        counts = +families
        if len(counts) >= STALL_STRATEGIES and counts.total() - max(counts.values()) > chance[last]:
            marked.update(index for index, _ in timeouts[first : last + 1])
    return [_stalled(stop) if index in marked else stop for index, stop in enumerate(stops)]


def _by_chance(times: list[datetime]) -> list[int]:
    """How many more timeouts may follow one within two minutes by chance; of each of these times, in ascending order."""
    import numpy as np
    from scipy import stats

    if not times:
        return []
    at = np.array([moment.timestamp() for moment in times])
    far, near = _AROUND.total_seconds(), _APART.total_seconds()
    around, close = (
        np.searchsorted(at, at + span, "right") - np.searchsorted(at, at - span, "left") for span in (far, near)
    )
    expected = (around - close) * STALL.total_seconds() / (2 * (far - near))
    return [int(count) for count in stats.poisson.isf(_CHANCE / len(at), expected)]


def _later(stop: Stop, other: Stop) -> timedelta:
    return stop.at - other.at if stop.at and other.at else timedelta()


def _stalled(stop: Stop) -> Stop:
    return Stop(
        stop.key, stop.kind, stop.at, stop.user, stop.duration_ms, stop.error_code, stop.execution_id, stalled=True
    )


def _moment(value: Any) -> datetime | None:
    # NaT, which stands for NULL in a frame, differs from itself.
    return value.to_pydatetime() if value is not None and value == value else None
