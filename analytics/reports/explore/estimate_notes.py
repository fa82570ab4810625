"""What stands below the estimates of somebody's own question: what is not in them, and what is taken as independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from analytics.reports.page import number as write
from analytics.warehouse.asked_runs import Gathered, Question, Span
from analytics.warehouse.coverage import Coverage, coverage
from analytics.warehouse.group_estimates import GroupEstimates
from analytics.window import ONE_DAY, Window, midnight

if TYPE_CHECKING:
    from analytics.warehouse.warehouse import Warehouse

_MOST_NAMED = 3
_MANY = 20
"""Groups of which one differs by chance alone, at 95 %."""


def sentences(
    lake: Warehouse,
    question: Question,
    found: Gathered,
    groups: Sequence[GroupEstimates],
    *,
    left_out: int,
    min_users: int,
) -> list[str]:
    """The sentences.

    Args:
        lake: Whose rows.
        question: What was asked.
        found: What the lake answered.
        groups: Those that are shown.
        left_out: Groups of too few users.
        min_users: As many as there have to be.
    """
    told = [*_held(lake, question.window, "the window")]
    if question.versus is not None:
        told += _held(lake, question.versus, "the window it is compared with")
    set_aside = sum(group.set_aside_count for group in groups)
    if "points" in question.what and set_aside:
        told.append(
            f"{write.counted(set_aside, 'logged ok row')} without points that can be added up (NULL, NaN, infinite): in no mean "
            "and no sum."
        )
    if left_out:
        told.append(
            f"{write.counted(left_out, 'group')} of fewer than {min_users} users left out, with one more where it would be told by "
            "the total; min_users=1 is for readers who may see them."
        )
    if any(one.grade == "too few" for group in groups for one in group.estimates.values()):
        told.append("○ too few: too few rows, or too wide an interval, to use the number.")
    return told + (_compared(question, found, groups, min_users) if found.shared_users else [])


def _held(lake: Warehouse, span: Span, which: str) -> list[str]:
    """What of a window is not in the lake, and that it does not reach there."""
    days = [record.day for record in lake.records() if record.day]
    if not days:
        return ["The lake holds no days."]
    since = span.since or midnight(days[0])
    until = span.until or midnight(days[-1] + ONE_DAY)
    if not any(since < midnight(day) + ONE_DAY and midnight(day) < until for day in days):
        return [f"The lake holds {days[0]} to {days[-1]}: nothing of {which}."]
    held = coverage(lake, Window(since, until))
    if span.since is None:  # nobody has asked for days that the lake never had
        known = set(days)
        held = replace(held, missing=[day for day in held.missing if day in known])
    told = []
    if held.missing or held.partial:
        told.append(
            f"Of {which} {_gaps(held)}: what ran then is in no number; there were at least as many runs, and sums are of the rest."
        )
    if 0.0 in held.sample_rates:
        told.append(f"For a time of {which} the sampling rate was 0, and no ok run was logged.")
    return told


def _gaps(held: Coverage) -> str:
    gaps = [
        (held.never, f"not extracted{held.of_them_expired}"),
        (held.lost, "with lost files"),
        (held.partial, "not complete yet"),
        (held.to_come, "still to come"),
    ]
    return ", ".join(f"{write.counted(len(days), 'day')} {words} ({_named(days)})" for days, words in gaps if days)


def _named(days: Sequence[date]) -> str:
    return ", ".join(map(str, days[:_MOST_NAMED])) + (" …" if len(days) > _MOST_NAMED else "")


def _compared(question: Question, found: Gathered, groups: Sequence[GroupEstimates], min_users: int) -> list[str]:
    """What the intervals of differences rest on."""
    told = []
    counted = [name for name in question.names if name in ("est_runs", "est_points_sum")]
    if counted:
        told.append(
            "Differences of runs and sums are of what there was: only the sampler's draws are chance, one for each run, so both "
            "sides are independent whoever ran. They do not say that another such time would differ."
        )
    if {"est_points_mean", "est_failure_rate"} & set(question.names):
        told.append(
            "Differences of means and rates take users as independent, not their runs, which may be alike; in a group of one user, "
            "its runs. Where few users have most of the runs, intervals hold rather less often than 95 of 100."
        )
    if {"duration", "nodes"} & set(question.what):
        told.append(
            "Differences of quantiles take every run as independent of the others: how alike the runs of one user are is not in "
            "them."
        )
    shared, users = found.shared_users or (0, 0)
    compared = sum(bool(group.compared) for group in groups)
    if shared and compared and len(counted) < len(question.names):
        told.append(
            f"{shared:,} of {users:,} logged users have rows on both sides and count there as if they were others: where users "
            "stay as they are, the intervals are rather too wide."
        )
    alone = sum(not group.compared and not group.is_base for group in groups)
    if question.base is not None and alone:
        which = f" that rests on enough users (min_users={min_users})" if min_users > 1 else ""
        told.append(
            f"{write.counted(alone, 'group')} without one of {question.by[-1]} = {question.base!r}{which} to compare with."
        )
    if compared >= _MANY:
        told.append(
            f"{compared:,} groups are compared, each by itself: of those that do not differ, about one in twenty shows an interval "
            "that leaves out zero."
        )
    return told
