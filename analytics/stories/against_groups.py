"""Sentences about two groups of runs: how their points differ, what of that is not the programs', and how the groups are unlike."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from analytics import page
from analytics.estimates import Estimate
from analytics.page import number
from analytics.stories import verdict

if TYPE_CHECKING:
    from analytics.findings.comparison import Comparison
    from analytics.findings.unlike import Unlike


def groups(asked: Comparison, is_named: bool) -> list[Any]:
    """Points per run of either group, and what of their difference is not the programs'."""
    found = asked.incident
    points, before, after = found.points, found.before, found.after
    if points is None or before is None or after is None or not math.isfinite(points.change.low):
        return [" Too few runs are logged to compare points per run."]
    means = [verdict.mean_points(side.rows) for side in (after, before)]
    here, there = (number.number(mean.value, mean.low, mean.high) for mean in means)
    said: list[Any] = [
        " Points per run are ",
        page.strong(here),
        " in A's own runs and ",
        page.strong(there),
        " in B's",
    ]
    differ = [part for one in asked.unlike for part in (" ", *unlike_words(one, is_named=is_named))]
    if not asked.is_at_same_hours:
        return [*said, ".", *differ, " So the two groups cannot be compared with each other."]
    ends = page.ci(points.change.low, points.change.high, value=points.change.value, sign=True)
    said += ["; at the same kinds of hours A's are ", page.strong(signed(points.change)), " ", ends]
    if asked.same_runs:
        rest = inputs_part(asked)
        said += [
            f". Of that the programs are {signed(asked.same_runs[0].per_run)}; {signed(rest)} is left to who plays and what "
            f"clients send, {beyond(rest)}."
        ]
    elif asked.verdicts == ("same", "same"):
        said += [f", {beyond(points.change)}"]
        said += [": that is who plays and what clients send." if points.is_significant else "."]
    elif asked.unlike:
        said += [". Whether that is the programs or who plays cannot be told."]
    else:
        said += [f", {beyond(points.change)}. Whether that is the programs or who plays cannot be told."]
    return [*said, *differ]


def inputs_part(asked: Comparison) -> Estimate:
    """The difference of points per run that the programs do not make, where their part is known."""
    points = asked.incident.points
    assert points is not None and asked.same_runs  # noqa: S101  # asked by the callers
    whole, per_run = points.change, asked.same_runs[0].per_run
    value = whole.value - per_run.value
    low = math.hypot(whole.value - whole.low, per_run.high - per_run.value)
    high = math.hypot(whole.high - whole.value, per_run.value - per_run.low)
    return Estimate(value, value - low, value + high, whole.logged_count, whole.grade).as_difference()


def unlike_words(found: Unlike, *, is_named: bool = True) -> list[Any]:
    """One way in which the groups are not alike, in a sentence; without the name of a game that few may play."""
    if found.what == "hours":
        return ["They ran at other kinds of hours (weekdays, weekends, quarters of the day)."]
    where, one = ("games", "the game ") if found.what == "games" else ("tasks", "the task ")
    if found.is_disjoint:
        return [f"They have none of their {where} in common."]
    if not is_named:
        return [f"Their {where} are others for {number.percent(found.distance)} of their runs."]
    return [
        f"Their {where} are others: {number.percent(found.share)} of A's runs and {number.percent(found.other)} of B's ",
        f"are of {one}",
        page.author(found.name, 40),
        ".",
    ]


def signed(estimate: Estimate) -> str:
    """A difference with its sign."""
    return number.number(estimate.value, estimate.low, estimate.high, sign=True)


def beyond(estimate: Estimate) -> str:
    """Whether chance may explain it."""
    return "which may be chance" if estimate.low <= 0 <= estimate.high else "beyond chance"
