"""What a post-mortem found: one kind of incident, its two sides, when, and how large."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from analytics.differences import Difference
from analytics.estimates import Estimate
from analytics.findings.activations import Activation
from analytics.findings.alike_inputs import AlikeInputs
from analytics.findings.paired import relative
from analytics.findings.sides import Side
from analytics.findings.slopes import Slope
from analytics.findings.timeout_causes import TimeoutCause
from analytics.findings.trials import VersionTrial
from analytics.ratios import Relative

Cause = Literal["program", "inputs", "built-in", "failures", "unknown", ""]


@dataclass(frozen=True, slots=True)
class Step:
    """One version of a series, beside the version that ran before the series began.

    Attributes:
        span: When it was live.
        trial: Against the version before the series.
        before_it: Against the version right before it; None for the first of the series, whose that is the same.
    """

    span: Activation
    trial: VersionTrial
    before_it: VersionTrial | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """The finding of a post-mortem.

    Attributes:
        kind: ``version`` (points changed with a version), ``failures`` (a code appeared or grew), ``data`` (points changed
            without a version), ``duration`` (ok runs became slower), ``window`` (points differ from a baseline that was asked
            for), ``against`` (two strategies side by side, no before and after), ``quiet`` (nothing significant), ``single``
            (nothing to compare with) or ``nothing`` (no rows).
        before, after: The two groups; ``None`` where there is none.
        points: Change of points per run.
        rollback: The activation that ended it by going back to an earlier version.
        successor: The activation that came when the version was gone, newer or older; ``None`` while it is live.
        code: For ``failures``: the error code that grew most.
        code_since: Its first failure of the episode, UTC; of the window where there is no episode, and ``since`` is ``None``.
        code_until: Its last, when the episode is over; ``None`` while it goes on.
        since: First run of the change, UTC.
        since_low, since_high: Between which times it began (95 %).
        until: Last run of the change, when it is over.
        border: The version whose first run coincides with the change; ``None`` when no version does.
        median, tail: For ``duration``: change of the median and of the 95th percentile of ok runs, ms.
        reason: Why it is ``quiet`` or ``single``, in words; empty when there is no more to say.
        baseline: What the reader asked to compare with; empty when the report chose.
        timeouts: Of failures that are timeouts: what they come from, as far as the log shows it.
        too_deep: Of runs that a cap stopped: how deep their program is nested, where that is deeper than the cap allows.
        also: Further findings, the most important first.
        cause: What moved it: the version's ``program``, the ``inputs`` (who plays, what clients send), the wrapped
            ``built-in``, ``failures``; ``unknown`` where that cannot be told; empty where nothing moved.
        total: Points beyond what would have been paid without it, over all of its runs; None where that is not known.
        trial: Of a version: its program beside the one before.
        steps: Of a series of versions that one page tells as one: each of them, the first too.
        again: Of a version that came more than once: its later times, which ``total`` holds too.
        slope: Of points that drift: how fast; None for a change at a moment.
        alike: Of a version whose program could not be tried: whether what came in moved, too.
        gone, new: Of such a version: cases that runs reached and that its program does not have any more, or has anew.
        is_one_program: Of ``data``: what moved are the points that one program pays for all runs, whichever version was live.
        level: Of these: label of the program, and its points per run before and after.
        only_of: Of ``failures`` that did not begin with a version: the one that was live already and alone fails so.
        wraps_built_in: Of ``data``: the program wraps a built-in, which may be changed without any version.
        innocent: Versions that began about then and are shown to pay the same.
        open_trials: Of what is quiet: versions of which it cannot be told whether they pay otherwise.
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
    timeouts: TimeoutCause | None = None
    too_deep: int | None = None
    also: tuple[Incident, ...] = ()
    cause: Cause = ""
    total: Estimate | None = None
    trial: VersionTrial | None = None
    steps: tuple[Step, ...] = ()
    again: tuple[Step, ...] = ()
    slope: Slope | None = None
    alike: AlikeInputs | None = None
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    is_one_program: bool = False
    level: tuple[str, Estimate, Estimate] | None = None
    only_of: Activation | None = None
    wraps_built_in: bool = False
    innocent: tuple[VersionTrial, ...] = ()
    open_trials: tuple[VersionTrial, ...] = ()

    @property
    def is_over(self) -> bool:
        """It had ended at the end of the window."""
        return bool(self.rollback or self.until or self.code_until or (self.successor and not self.goes_on))

    @property
    def goes_on(self) -> bool:
        """A later version of the series, live at the end, still pays otherwise than the one before the series."""
        if not self.steps:
            return False
        last = max(self.steps, key=lambda step: step.span.last)
        return last.trial.verdict == "differs" and not self.rollback

    @property
    def relative(self) -> Relative | None:
        """What a version, or a series of them, pays beyond the earlier program for the same runs, as a share of what that pays."""
        if self.trial is None or self.trial.verdict != "differs":
            return None
        if not (self.steps or self.again):
            return self.trial.relative
        trials = [step.trial for step in self.steps] or [self.trial, *(step.trial for step in self.again)]
        tried = [trial.forward for trial in trials]
        rows = [of.rows[of.rows["decided"].to_numpy(bool)] for of in tried if of is not None]
        if not rows:
            return self.trial.relative
        columns = [
            np.concatenate([part[name].to_numpy(float) for part in rows]) for name in ("points", "would", "weight")
        ]
        return relative(*columns)
