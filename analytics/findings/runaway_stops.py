"""Runs that a limit stopped, canaries and unknown codes: which, when, in bursts, and which of them no rule is to blame for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.findings.loop_stalls import mark_stalls
from analytics.findings.runaway_keys import Key, key_of, text_or_none
from analytics.warehouse import records

if TYPE_CHECKING:
    from analytics.warehouse import Warehouse

GAP = timedelta(minutes=30)
"""A pause longer than this ends a burst."""
MOST_LISTED = 20_000
"""Stopped runs of a window that are held one by one; of more, those of a minute are held together."""


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
        stall: Of a timeout that is part of a stalled event loop, which of the stalls of its window; else None.
        logged_count: Runs that it stands for.
        last: End of the last of them.
        users: Hashes of their distinct users, where it stands for a minute.
        execution_id: Of the run, where it stands for one.
    """

    key: Key
    kind: str
    at: datetime | None
    user: str | None
    error_code: str | None
    stall: int | None = None
    logged_count: int = 1
    last: datetime | None = None
    users: frozenset[Any] | None = None
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
        kind: ``limit``, ``timeout``, ``canary``, ``unknown``, or ``stall``: what is taken for a stalled event loop.
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
            **(_minute(row) if many else {"execution_id": str(row["execution_id"])}),
        )
        for row in records(minutes if many else lake.run("limit_runs", since=since, until=until))
    ]
    found.sort(key=lambda stop: (stop.at is None, stop.at or datetime.min))
    return mark_stalls(found, (since, until) if since and until else None)


def _minute(row: dict[str, Any]) -> dict[str, Any]:
    users = row["users"]
    return {
        "logged_count": int(row["logged_count"]),
        "last": _moment(row["last_at"]),
        "users": frozenset(users if users is not None else ()),
    }


def bursts(stops: Sequence[Stop]) -> list[Burst]:
    """Stops as bursts: one per version and kind until a pause of 30 minutes, each stall across versions; oldest first."""
    groups: dict[tuple[Any, ...], list[list[Stop]]] = {}
    for stop in stops:
        if stop.at is None:
            continue
        lane = ("stall", None, stop.stall) if stop.stalled else (stop.kind, stop.key, None)
        runs = groups.setdefault(lane, [])
        before = runs[-1][-1].until if runs else None
        if before is None or (stop.at - before > GAP and not stop.stalled):
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


def _moment(value: Any) -> datetime | None:
    # NaT, which stands for NULL in a frame, differs from itself.
    return value.to_pydatetime() if value is not None and value == value else None
