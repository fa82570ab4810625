"""The least and the most of what a rehearsal counts, with the runs that the log does not decide at their worst."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analytics.estimates import estimators
from analytics.findings.rehearsal.rehearsed_runs import NEAR
from analytics.findings.replay.replay_run import wraps
from analytics.program import MAX_NODES, size

if TYPE_CHECKING:
    from analytics.findings.rehearsal.rehearsal import Rehearsal


def changed(found: Rehearsal) -> tuple[float, float]:
    """Share of the tried runs that are paid otherwise.

    An undecided one may be, and surely is where its bounds leave out what it was paid.
    """
    if found.is_same:
        return 0.0, 0.0
    rows = found.tried.rows
    is_decided, is_changed = (rows[name].to_numpy(bool) for name in ("is_decided", "is_changed"))
    points, low, high = (rows[name].to_numpy(float) for name in ("points", "low", "high"))
    near = NEAR * np.maximum(1.0, np.abs(points))
    is_outside = ~is_decided & ((points < low - near) | (points > high + near))
    least = estimators.share_of_runs(is_changed | is_outside, rows["weight"])
    most = estimators.share_of_runs(is_changed | ~is_decided, rows["weight"])
    return least.low, most.high


def failures(found: Rehearsal) -> tuple[float, float]:
    """Tried logged runs that fail: one may on what the log does not tell of it, also where it is paid the same all the while."""
    count = sum(failure.logged_count for failure in found.failures)
    return count, count + int(found.tried.rows["may_fail"].sum())


def visits(found: Rehearsal) -> tuple[float, float]:
    """The most nodes visited for a tried run: of one that is not known to its end as many as the program can, up to the cap."""
    known = found.most_visits
    if found.tried.rows["visits"].notna().all() and known is not None:
        return known, known
    most = size(found.program.ast, extends=wraps(found.program)).visits_max
    end = math.nan if most is None else float(min(most, MAX_NODES))
    least = 0 if known is None else known
    return least, max(end, least)


def untried(found: Rehearsal) -> tuple[float, float]:
    """Share of the logged ok runs that were not tried, though they should have been: no number holds them."""
    tried = found.tried
    count = sum(
        version.logged_count if version.reason else 0 if found.is_part else version.logged_count - version.tried_count
        for version in tried.versions
    )
    share = count / tried.logged_count if tried.logged_count else math.nan
    return share, share
