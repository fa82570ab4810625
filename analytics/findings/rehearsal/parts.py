"""Parts of a rehearsal: runs that have something in common, and what the program makes of them together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from analytics.estimates.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Totals:
    """Points of some of the runs, as they were paid and as the program pays them; decided runs only.

    Attributes:
        name: Of the case, None for none; the day.
        logged_count: Tried logged runs.
        paid, would, difference: Estimated totals over the runs they stand for; the difference is what the program pays beyond.
    """

    name: str | date | None
    logged_count: int
    paid: Estimate
    would: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class UserRows:
    """The logged rows of a user who was chosen by what these very rows differ by: they say nothing of the runs behind them.

    Attributes:
        name: Of the user.
        logged_count: Tried logged runs that are decided.
        difference: Points that the program pays for these rows beyond what was paid for them.
    """

    name: str
    logged_count: int
    difference: float


@dataclass(frozen=True, slots=True)
class PredictedFailure:
    """Runs that the program fails on.

    Attributes:
        code: Error code.
        logged_count: Tried logged runs.
        share: Of the tried runs.
        execution_id: One of them, the earliest.
    """

    code: str
    logged_count: int
    share: Estimate
    execution_id: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """What stands in the way of a decision.

    Attributes:
        reason: In words: a field that was not recorded, a built-in that would have been asked otherwise.
        path: Of the field that was not recorded; None where that is not what is missing.
        logged_count: Tried logged runs that lack it.
        share: Of the tried runs.
    """

    reason: str
    logged_count: int
    share: Estimate
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A version of the family in the source's table of definitions.

    Attributes:
        strategy_id, version: Which.
        status: ``DRAFT``, ``PUBLISHED`` or ``ARCHIVED`` when the lake was extracted.
    """

    strategy_id: str
    version: int
    status: str
