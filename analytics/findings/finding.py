"""What a post-mortem found: one kind of incident, its two sides, when, and how large."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from analytics.differences import Difference
from analytics.findings.activations import Activation
from analytics.findings.sides import Side


@dataclass(frozen=True, slots=True)
class Incident:
    """The finding of a post-mortem.

    Attributes:
        kind: ``version`` (points changed with a version), ``failures`` (a code appeared or grew), ``data`` (points changed
            without a version), ``duration`` (ok runs became slower), ``window`` (points differ from a baseline that was asked
            for), ``quiet`` (nothing significant), ``single`` (nothing to compare with) or ``nothing`` (no rows).
        before, after: The two groups; ``None`` where there is none.
        points: Change of points per run.
        rollback: The activation that ended it by going back to an earlier version.
        successor: The activation that came when the version was gone, newer or older; ``None`` while it is live.
        code: For ``failures``: the error code that grew most.
        code_since: Its first failure of the episode, UTC.
        code_until: Its last, when the episode is over; ``None`` while it goes on.
        since: First run of the change, UTC.
        since_low, since_high: Between which times it began (95 %).
        until: Last run of the change, when it is over.
        border: The version whose first run coincides with the change; ``None`` when no version does.
        median, tail: For ``duration``: change of the median and of the 95th percentile of ok runs, ms.
        reason: Why it is ``quiet`` or ``single``, in words; empty when there is no more to say.
        baseline: What the reader asked to compare with; empty when the report chose.
        also: Further findings, the most important first.
    """

    kind: str
    before: Side | None
    after: Side | None
    points: Difference | None
    rollback: Activation | None = None
    successor: Activation | None = None
    code: str | None = None
    code_since: datetime | None = None
    code_until: datetime | None = None
    since: datetime | None = None
    since_low: datetime | None = None
    since_high: datetime | None = None
    until: datetime | None = None
    border: Activation | None = None
    median: Difference | None = None
    tail: Difference | None = None
    reason: str = ""
    baseline: str = ""
    also: tuple[Incident, ...] = ()
