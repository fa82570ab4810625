"""Runs that a limit stopped, canaries and unknown codes: which, when, in bursts, and which of them no rule is to blame for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from analytics.findings.loop_stalls import mark_stalls
from analytics.findings.runaway_keys import Key, key_of, text_or_none
from analytics.findings.stopped_runs import Burst, Stop, stop_count, users_of
from analytics.warehouse import records

if TYPE_CHECKING:
    from analytics.warehouse import Warehouse

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
