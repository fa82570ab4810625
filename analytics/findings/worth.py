"""How many points a finding is about: what the stories of a page are put in order by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from analytics import estimates
from analytics.estimate import GRADES, Estimate, graded
from analytics.findings.finding import Cause, Incident
from analytics.findings.sides import Side, run_estimate

_ENOUGH = 100
"""Logged rows from which on a total of several groups is graded by its width."""


def weighed(found: Incident) -> Incident:
    """The points that a finding is about, where no replay has told them."""
    if found.total is not None or found.after is None:
        return found
    if found.kind == "failures":
        cause: Cause = found.cause or "failures"
        return replace(found, cause=cause, total=_lost(found))
    if found.kind in ("version", "data") and found.points is not None:
        return replace(found, total=_moved_in_all(found, found.after))
    return found


def rank(found: Incident) -> float:
    """Smallest for the most points; slower runs move none and come last."""
    total = found.total
    if found.kind == "failures" and found.since is None:
        return math.inf  # what fails steadily is no news before what has changed
    if total is None or not math.isfinite(total.value):
        return 0.0 if found.kind == "duration" else -1e-9
    return -abs(total.value)


def _moved_in_all(found: Incident, after: Side) -> Estimate | None:
    """Change per run times the runs: what the finding is worth, roughly, where only groups are compared."""
    assert found.points is not None  # noqa: S101  # asked before
    change, runs = found.points.change, run_estimate(after.paid)
    if not math.isfinite(change.low) or not len(after.paid):
        return None
    value = change.value * runs.value
    low, high = (
        math.hypot((change.value - end) * runs.value, change.value * (runs.high - runs.low) / 2)
        for end in (change.low, change.high)
    )
    return Estimate(value, value - low, value + high, change.logged_count, change.grade).as_difference()


def _lost(found: Incident) -> Estimate | None:
    """What the failed runs would have been paid, had they been like those before."""
    assert found.after is not None  # noqa: S101  # asked before
    rows = found.after.rows
    count = int(((rows["status"] != "ok") & (rows["error_code"] == found.code)).sum())
    paid = found.before.values if found.before is not None else found.after.values
    usual = estimates.mean(*paid)
    if not math.isfinite(usual.value):
        return None
    return Estimate(-count * usual.value, -count * usual.high, -count * usual.low, count, usual.grade)


def sum_of(parts: Iterable[Estimate | None]) -> Estimate | None:
    """The total of groups that share no run: squares of the half-widths add up."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    value = math.fsum(part.value for part in known)
    low = math.hypot(*(part.value - part.low for part in known))
    high = math.hypot(*(part.high - part.value for part in known))
    rows = sum(part.logged_count for part in known)
    grade = graded((low + high) / 2, abs(value)) if rows >= _ENOUGH else GRADES[2]
    return Estimate(value, value - low, value + high, rows, grade).as_difference()
