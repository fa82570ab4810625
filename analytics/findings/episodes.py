"""When something that shows only now and then began and ended: between which moments, not at which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analytics.findings.stopped_runs import Burst

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


def beyond(count: int, span: timedelta) -> timedelta | None:
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


def ends(own: Sequence[Burst], known_since: datetime, known_until: datetime) -> Ends:
    """The ends of what made some bursts: it begins with the first of them, and ends with the last.

    Args:
        own: Of one kind and version, or a stall; oldest first.
        known_since, known_until: Time in which every stopped run is known.
    """
    first, last = own[0], own[-1]
    earlier = beyond(first.count, first.until - first.since)
    later = beyond(last.count, last.until - last.since)
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
