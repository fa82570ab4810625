"""What a stopped run is, a burst of them, and between which moments what made them began and ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.findings.runaway.keys import Key


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


def burst_ends(own: Sequence[Burst], known_since: datetime, known_until: datetime) -> Ends:
    """The ends of what made some bursts: it begins with the first of them, and ends with the last.

    Args:
        own: Of one kind and version, or a stall; oldest first.
        known_since, known_until: Time in which every stopped run is known.
    """
    first, last = own[0], own[-1]
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
