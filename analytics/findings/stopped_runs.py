"""What a run that did not finish is, and a burst of them: nouns that the findings about failures share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analytics.findings.runaway_keys import Key


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
