"""What runs cost: nodes and milliseconds as counts of equal rows, and what a version takes of the engine in all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from analytics.estimates import estimators, stalls
from analytics.estimates.estimate import graded, worse
from analytics.estimates.estimators import NOTHING, Estimate, upper_bound_of_none

if TYPE_CHECKING:
    import pandas as pd

    from analytics.estimates.arrays import Floats
    from analytics.estimates.stalls import Durations, Excess
    from analytics.findings.runaway.keys import Key
    from analytics.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class LoggedRuns:
    """What the log says of one version's runs.

    Attributes:
        count: Logged runs, failed ones too.
        ok_count: Those that came to their end.
        total_ms: Estimated milliseconds in all, failures included; a run of more than ten seconds counts as ten.
        together: Rows of ``nodes_executed`` with ``status``, ``sample_weight`` and ``logged_count``.
        times: Rows of ``duration_ms`` with the same.
        most_nodes: That a run can leave.
    """

    count: int
    ok_count: int
    total_ms: float
    together: pd.DataFrame | None
    times: pd.DataFrame | None
    most_nodes: float


@dataclass(frozen=True, slots=True)
class VersionCosts:
    """What a version takes of the engine.

    Attributes:
        total_ms: Milliseconds in all, failures included.
        time_share: Of the fleet's.
        ms_mean: Milliseconds per run that came to an end, a limit or a timeout.
        ms_dispersion: The variance of these divided by their mean (the index of dispersion: 0 where all runs take the same
            time, large where few take most of it); NaN where it is not known.
        stalled_count: Logged ok runs of more than `stalls.TIMES_MEDIAN` times the median.
        unseen_stalls: What stalls that were not drawn may add to ``ms_mean``, as a part of it; NaN where it is not known.
        nodes_mean, nodes_total: Of ok runs; stopped ones log no nodes.
        node_share: Of the fleet's nodes.
    """

    total_ms: Estimate
    time_share: Estimate
    ms_mean: Estimate
    ms_dispersion: float
    stalled_count: int
    unseen_stalls: float
    nodes_mean: Estimate
    nodes_total: Estimate
    node_share: Estimate


def fleet_costs(
    ran: Mapping[Key, LoggedRuns], rate: float, before: Sequence[pd.DataFrame] = ()
) -> dict[Key, VersionCosts]:
    """Time and nodes of every version of a fleet: the stalls of one tell of those that the sample of another has missed.

    Args:
        ran: The versions.
        rate: Smallest of the sampler in the time in question.
        before: Rows of ``duration_ms`` of each version in the time before.
    """
    whole = [_took(one.times) for one in ran.values()]
    capped = [_took(one.times, stalls.LONGEST_MS) for one in ran.values()]
    past = [_took(frame) for frame in before]
    slowest = max((one.typical for one in capped), default=0.0)
    versions = list(ran.values())
    beyond = stalls.excesses(whole, past)
    means = [
        _mean_ms(took, excess, _is_open(version, rate))
        for version, took, excess in zip(versions, whole, beyond, strict=True)
    ]
    totals = []
    for version, took, excess in zip(versions, capped, stalls.excesses(capped, past), strict=True):
        unseen = (upper_bound_of_none(rate) * slowest or math.inf) if _is_open(version, rate) else 0.0
        totals.append(_total_ms(version, took, excess, unseen))
    nodes = [_nodes(version) for version in versions]
    time_shares, node_shares = cost_shares(totals), cost_shares([total for _, total in nodes])
    return {
        key: VersionCosts(
            total_ms=totals[at],
            time_share=time_shares[at],
            ms_mean=means[at],
            ms_dispersion=_dispersion(version.times),
            stalled_count=beyond[at].stalled,
            unseen_stalls=_unseen(whole[at], beyond[at], means[at]),
            nodes_mean=nodes[at][0],
            nodes_total=nodes[at][1],
            node_share=node_shares[at],
        )
        for at, (key, version) in enumerate(ran.items())
    }


def _is_open(one: LoggedRuns, rate: float) -> bool:
    """No ok run was drawn, so there may have been some, and what they took is not known."""
    return rate < 1 and not one.ok_count


def _took(times: pd.DataFrame | None, most: float = math.inf) -> Durations:
    import numpy as np

    if times is None:
        return stalls.split_stalls(np.empty(0), np.empty(0))
    values, weights = (
        times[name].to_numpy(dtype=float, na_value=math.nan) for name in ("duration_ms", "sample_weight")
    )
    return stalls.split_stalls(values, weights, times["logged_count"].to_numpy(), most=most)


def _mean_ms(one: Durations, beyond: Excess, is_open: bool) -> Estimate:
    found = stalls.mean_of(one, beyond)
    # Runs that were stopped say nothing of those that came to an end.
    if is_open:
        return replace(found, low=math.nan, high=math.nan, grade="too few")
    return replace(found, low=max(found.low, 0.0)) if found.low < 0 else found  # no run takes less than nothing


def _total_ms(version: LoggedRuns, one: Durations, beyond: Excess, unseen: float) -> Estimate:
    """All the time of a version, failures included, which are all known; ``unseen`` is that of runs of which none was drawn."""
    value, rows = version.total_ms, version.count
    if unseen > 0:
        return Estimate(value, value, value + unseen, rows, "too few", 0.0)
    if one.drawn == 0:
        return Estimate(value, value, value, rows, "good", math.inf)
    found = stalls.total_of(one, beyond)
    low, high = max(value - (found.value - found.low), 0.0), value + found.high - found.value
    grade = worse(found.grade, graded((high - low) / 2, value))
    return Estimate(value, low, high, rows, grade, found.effective_count)


def _unseen(one: Durations, beyond: Excess, mean: Estimate) -> float:
    whole = one.whole * mean.value
    return (beyond.high - beyond.value) / whole if whole > 0 and math.isfinite(mean.low) else math.nan


def _nodes(one: LoggedRuns) -> tuple[Estimate, Estimate]:
    """Nodes per ok run, and in all."""
    if one.together is None:
        return NOTHING, NOTHING
    nodes, weights = _expanded(one.together[one.together["status"] == "ok"], "nodes_executed")
    ends = (0.0, one.most_nodes)
    return estimators.mean(nodes, weights, ends=ends), estimators.total(nodes, weights, ends=ends)


def _expanded(rows: pd.DataFrame, name: str) -> tuple[Floats, Floats]:
    """One value and one weight per logged run."""
    import numpy as np

    values, weights = (rows[each].to_numpy(dtype=float, na_value=math.nan) for each in (name, "sample_weight"))
    counts = rows["logged_count"].to_numpy()
    return np.repeat(values, counts), np.repeat(weights, counts)


def _dispersion(times: pd.DataFrame | None) -> float:
    import numpy as np

    if times is None:
        return math.nan
    values, weights = _expanded(times, "duration_ms")
    usable = np.isfinite(values) & (weights >= 1)
    y, w = values[usable], weights[usable]
    whole = float(w.sum())
    mean = float((w * y).sum()) / whole if whole else 0.0
    return float((w * (y - mean) ** 2).sum()) / whole / mean if mean > 0 else math.nan


def cost_shares(parts: Sequence[Estimate]) -> list[Estimate]:
    """Each part of the whole, as a share of one; nothing is said of parts of nothing.

    The share ``a/(a + b)`` of two independent totals has the interval that its own ends and those of all others give one at a
    time, squared and added (MOVER; Zou & Donner, *Statistics in Medicine* 27, 2008): as lopsided as they are, within 0 and 1.
    """
    known = [part if math.isfinite(part.low) else replace(part, value=0.0, low=0.0, high=0.0) for part in parts]
    whole = math.fsum(part.value for part in known)
    if not whole > 0:  # of nothing there are no shares
        return [NOTHING] * len(parts)
    less = [(part.value - part.low) ** 2 for part in known]
    more = [(part.high - part.value) ** 2 for part in known]
    less_of_all, more_of_all = math.fsum(less), math.fsum(square for square in more if square < math.inf)
    open_count = sum(square == math.inf for square in more)
    found = []
    for number, part in enumerate(known):
        others, share = whole - part.value, part.value / whole
        least = max(others - math.sqrt(max(less_of_all - less[number], 0.0)), 0.0)
        is_open = more[number] == math.inf
        spread = max(more_of_all - (0.0 if is_open else more[number]), 0.0)
        most = math.inf if open_count > is_open else others + math.sqrt(spread)
        low = share - math.hypot(share - _part(part.low, others), share - _part(part.value, most))
        high = share + math.hypot(_part(part.high, others) - share, _part(part.value, least) - share)
        low, high = max(low, 0.0), min(high, 1.0)
        grade = worse(graded((high - low) / 2, share) if share > 0 else "good", parts[number].grade)
        found.append(Estimate(share, low, high, part.logged_count, grade, part.effective_count))
    return found


def _part(part: float, others: float) -> float:
    if math.isinf(part):
        return 1.0
    return part / (part + others) if part + others > 0 else 1.0


MOST_EXACT = 200_000
"""Logged runs of a window up to which no duration is rounded."""
DIGITS = 3
"""Significant digits of durations in larger windows: a quantile moves by 0.5 % at most, by 0.1 % as a rule."""
PICTURE_DIGITS = 2
"""The same where nodes stand beside them: a cell of the picture is larger."""


@dataclass(frozen=True, slots=True)
class RunCosts:
    """Costs of logged runs that say something about them.

    Attributes:
        together: Nodes beside milliseconds; grain of the query run_costs.
        times: Milliseconds alone, with more digits; grain of the query run_times. The same frame where nothing is rounded.
        is_rounded: The window is so large that durations are rounded.
    """

    together: pd.DataFrame
    times: pd.DataFrame
    is_rounded: bool


def run_costs(lake: Warehouse, since: datetime, until: datetime, *, most_exact: int = MOST_EXACT) -> RunCosts:
    """Ask for the costs of a window.

    Args:
        lake: Where the runs are.
        since, until: The window, UTC.
        most_exact: Logged runs from which on durations are rounded.
    """
    found = lake.sql(
        "select count(*) from executions where day >= $since::timestamptz::date and created_at >= $since::timestamptz "
        "   and day <= $until::timestamptz::date and created_at < $until::timestamptz",
        since=since, until=until,
    ).fetchall()  # fmt: skip
    if found[0][0] <= most_exact:
        exact = lake.run("run_costs", since=since, until=until)
        return RunCosts(exact, exact, is_rounded=False)
    together = lake.run("run_costs", since=since, until=until, digits=PICTURE_DIGITS)
    return RunCosts(together, lake.run("run_times", since=since, until=until, digits=DIGITS), is_rounded=True)


def weights(rows: pd.DataFrame) -> pd.Series[float]:
    """Runs that the rows stand for; NaN where the weight is unknown."""
    return rows["sample_weight"].astype(float) * rows["logged_count"]


def logged(rows: pd.DataFrame) -> int:
    """Logged runs behind the rows."""
    return int(rows["logged_count"].sum()) if len(rows) else 0
