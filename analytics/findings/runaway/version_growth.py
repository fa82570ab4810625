"""How versions of a strategy grow, how many more there is room for, and whether a cap looks lowered."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from analytics.estimates import significance
from analytics.estimates.estimate import NOTHING, TAIL, Estimate, graded
from analytics.estimates.quantiles import Part, quantiles_of_parts
from analytics.findings.failures.stops import Burst
from analytics.findings.runaway.keys import FamilyKey, Key, keyed
from analytics.warehouse.warehouse import records
from analytics.window import Window, midnight

if TYPE_CHECKING:
    import pandas as pd

    from analytics.warehouse.warehouse import Warehouse

_LEAST_STOPS = 3
"""One stopped run, and nobody who passed in its very moment, says nothing about the cap."""
_CHANCE = 0.01
_FEW = 60


@dataclass(frozen=True, slots=True)
class RunsBelowCap:
    """Ok runs of a version while others of it were stopped, and at other times.

    Attributes:
        meanwhile: The most nodes of one that passed within the bursts; None when none was logged.
        otherwise: The same of all other times.
        fits_lowered: A lower cap would explain what was stopped: see ``runs_below_cap``.
    """

    meanwhile: int | None
    otherwise: int | None
    fits_lowered: bool


def runs_below_cap(
    lake: Warehouse,
    key: Key,
    bursts: Sequence[Burst],
    history: datetime,
    asked: Window,
    *,
    before: int,
    node_cap: float,
) -> RunsBelowCap:
    """Compare the runs that passed during the bursts with those of all other times.

    A lower cap lets only smaller runs pass. It is taken into account where

    - those that passed meanwhile are smaller than chance lets them be: were they drawn like all others, none of ``m`` would exceed
      the largest with probability ``(1 - q) ** m``, where a share ``q`` of the others does; or
    - none that passed meanwhile is as large as the largest at other times, that one leaves more room below the cap than the tail
      of the runs fills, and runs are stopped more often than before: then nothing but a change explains it.

    A strategy that always lives just below the cap and now and then steps over it is neither.

    Args:
        lake: Where the runs are.
        key: Which version.
        bursts: Its bursts of stopped runs, oldest first; within the window.
        history: From when on other times are looked for, UTC.
        asked: The window that is reported.
        before: Runs of its family that were stopped in the history before the window.
        node_cap: What the cap is said to be.
    """
    found = records(
        lake.run(
            "passed_runs",
            realm=key.realm,
            strategy=key.strategy,
            version=key.version,
            starts=[burst.since for burst in bursts],
            ends=[burst.until for burst in bursts],
            asked=asked.since,
            since=history,
            until=asked.until,
        )
    )
    beside, others, earlier = Counter[int](), Counter[int](), 0
    for row in found:
        own = beside if row["is_meanwhile"] else others
        own[int(row["nodes_executed"])] += int(row["logged_count"])
        earlier += int(row["logged_count"]) if row["is_before"] else 0
    meanwhile, otherwise = max(beside, default=None), max(others, default=None)
    stopped = sum(burst.count for burst in bursts)
    if otherwise is None or stopped < _LEAST_STOPS:
        return RunsBelowCap(meanwhile, otherwise, fits_lowered=False)
    above = sum(count for nodes, count in others.items() if meanwhile is None or nodes > meanwhile) / others.total()
    if meanwhile is not None and above > 0 and (1 - above) ** beside.total() < _CHANCE:
        return RunsBelowCap(meanwhile, otherwise, fits_lowered=True)
    runs = beside.total() + others.total()
    # A version that is new in the window has no other days to compare with.
    more = earlier > 0 and _more_than_before(stopped, before, (runs - earlier + 0.5) / (runs + 1))
    return RunsBelowCap(meanwhile, otherwise, fits_lowered=above > 0 and more and node_cap - otherwise >= _tail(others))


def _more_than_before(stopped: int, before: int, part: float) -> bool:
    """Whether more are stopped now than the part of the runs that is now explains (binomial test); sure where none was before."""
    if not before:
        return True
    return significance.binomial_more(stopped, stopped + before, part) < _CHANCE


def _tail(counts: Mapping[int, int]) -> float:
    """How many nodes the share of larger runs needs to fall to a third: the scale of an exponential tail.

    Between the 90th percentile and the largest of ``n`` it falls from ``n / 10`` to one (peaks over a threshold; Davison & Smith,
    *J. R. Stat. Soc.* B 52, 1990, without a shape). The median takes its place where so few are logged that a tenth is no tail.
    """
    left = sum(counts.values())
    beyond = left / 10 if left >= _FEW else left / 2
    for nodes in sorted(counts):
        left -= counts[nodes]
        if left <= beyond:
            return (max(counts) - nodes) / math.log(max(beyond, math.e))
    return math.inf


_SURE_STEPS = 2
"""Steps from which on a spread can be estimated: one alone has none."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Where the growth of a family leads, if it goes on as it did.

    Attributes:
        steps: What each version added to the one before, in nodes, oldest first.
        versions: The next version to be above the limit, counted from the newest: 1 is the next one. The upper end is infinite
            where the steps may as well be none. Of one step alone there is no interval: from 1 to infinite, ``too few``.
        days: When that version comes, from the end of the window on, if versions come as they did. Of one publication alone
            nothing is said.
    """

    steps: tuple[float, ...]
    versions: Estimate
    days: Estimate

    @property
    def has_interval(self) -> bool:
        """There are steps enough for one."""
        return len(self.steps) >= _SURE_STEPS


NOWHERE = Ahead((), NOTHING, NOTHING)
"""Of what does not grow."""


def ahead(
    room: float,
    steps: Sequence[float],
    exposure_days: float,
    *,
    grain: float = 0.0,
    above: float = 0.0,
    below: float = 0.0,
) -> Ahead:
    """Versions and days until steps like these use up the room.

    The steps are taken for draws from one distribution, so the sum of the next h of them has mean h m and variance
    s² h (1 + h / n), as in the drift method of forecasting (Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, 3rd
    ed., section 5.2 and its table of variances in 5.5), with Student's quantile for n - 1 degrees of freedom. Publications are
    taken for a Poisson process: of n in a time T, the next h take between T h / (n + 1) F and T h / n F', F of 2h and 2n + 2
    degrees of freedom and F' of 2h and 2n (Nelson, *Applied Life Data Analysis*, 1982, chapter 10). Each is asked at half the
    chance: for days, which err in both, and because few and skewed steps are a little worse than Student's quantile allows.

    Args:
        room: Nodes left below the limit; the limit itself is allowed.
        steps: What each version added to the one before it, oldest first.
        exposure_days: From the first of these versions until now.
        grain: Nodes by which programs grow at least. Steps that happen to be all alike are known to half of it, no better:
            its square over twelve is added to their variance.
        above, below: How far the newest may be above and below what is taken for it, at 95 %.

    Returns:
        `NOWHERE` where the steps do not lead up.
    """
    mean = sum(steps) / len(steps) if steps else 0.0
    if not mean > 0 or not math.isfinite(room):
        return NOWHERE
    count = len(steps)
    if room < 0:
        zero = Estimate(0.0, 0.0, 0.0, count, "good")
        return Ahead(tuple(steps), zero, zero)
    value = float(_first_above(mean, room))
    if count < _SURE_STEPS:
        open_ended = Estimate(value, 1.0, math.inf, count, "too few")
        return Ahead(tuple(steps), open_ended, Estimate(math.nan, 0.0, math.inf, count, "too few"))
    low, high = _span(room, steps, grain, above, below)
    versions = Estimate(value, low, high, count, graded((high - low) / 2, value))
    return Ahead(tuple(steps), versions, _days(value, (low, high), count, exposure_days))


def _first_above(mean: float, room: float) -> int:
    """The first number of steps that is more than the room; one at least."""
    return max(math.floor(room / mean + 1e-9) + 1, 1)


def _span(room: float, steps: Sequence[float], grain: float, above: float, below: float) -> tuple[float, float]:
    from scipy import special

    count, mean = len(steps), sum(steps) / len(steps)
    spread = sum((step - mean) ** 2 for step in steps) / (count - 1) + grain**2 / 12
    squared = float(special.stdtrit(count - 1, 1 - TAIL / 2)) ** 2 * spread

    def reach(number: float, side: int) -> float:
        """The edge of what so many more steps add."""
        other = above if side > 0 else below
        return number * mean + side * math.sqrt(squared * number * (1 + number / count) + other**2)

    most = _first_above(mean, room)
    low = next((number for number in range(1, most) if reach(number, 1) > room), most)
    # Beyond all bounds the lower edge rises with the number of steps by this much each; not at all where it is negative.
    if not mean > math.sqrt(squared / count):
        return float(low), math.inf
    # The lower edge falls at first and rises then: where it is above the room, it stays so. Doubling, then halving.
    before, high = most - 1, most
    while reach(high, -1) <= room:
        before, high = high, 2 * high
    while high - before > 1:
        middle = (before + high) // 2
        before, high = (before, middle) if reach(middle, -1) > room else (middle, high)
    return float(low), float(high)


def _days(value: float, versions: tuple[float, float], count: int, exposure: float) -> Estimate:
    """When that version comes: the next publications of a Poisson process, with what is not known of how many they are."""
    from scipy import special

    if not exposure > 0:
        return Estimate(math.nan, 0.0, math.inf, count, "too few")
    fewest, most = versions
    low = exposure * fewest / (count + 1) * float(special.fdtri(2 * fewest, 2 * count + 2, TAIL / 2))
    high = (
        exposure * most / count * float(special.fdtri(2 * most, 2 * count, 1 - TAIL / 2))
        if math.isfinite(most)
        else math.inf
    )
    days = exposure * value / count
    return Estimate(days, low, high, count, graded((high - low) / 2, days))


@dataclass(frozen=True, slots=True)
class VersionNodes:
    """What the runs of one version needed.

    Attributes:
        key: Which version.
        first, last: Its first and last day in the log, as the frame holds them.
        median, p99: Of nodes; runs that a cap stopped count as beyond.
    """

    key: Key
    first: pd.Timestamp
    last: pd.Timestamp
    median: Estimate
    p99: Estimate


def version_nodes(counts: pd.DataFrame) -> dict[tuple[str | None, str], list[VersionNodes]]:
    """Versions of every family in the order in which the log first shows them; those with too few rows for a median are left out.

    Args:
        counts: The query nodes_by_day.
    """
    found: dict[tuple[str | None, str], list[VersionNodes]] = {}
    for key, rows in keyed(counts):
        median, p99 = quantiles_of_parts(_parts(rows), (0.5, 0.99))
        if median.grade != "too few":
            nodes = VersionNodes(key, rows["day"].min(), rows["day"].max(), median, p99)
            found.setdefault(key.family, []).append(nodes)
    return {family: sorted(nodes, key=lambda one: (one.first, one.key.version)) for family, nodes in found.items()}


def _parts(rows: pd.DataFrame) -> list[Part]:
    """Runs by their weight, in the order of their nodes; stopped runs, which have none, apart."""
    import numpy as np

    parts = []
    for weight, same_weight in rows.groupby("sample_weight"):
        nodes = same_weight["nodes_executed"].to_numpy(dtype=float, na_value=math.inf)
        times = same_weight["logged_count"].to_numpy()
        order, stopped = np.argsort(nodes, kind="stable"), int(times[np.isinf(nodes)].sum())
        order = order[np.isfinite(nodes[order])]
        parts.append(Part(np.repeat(nodes[order], times[order]), float(weight)))
        parts.append(Part(np.empty(0), float(weight), stopped=True, unknown=stopped))
    return parts


def chains(versions: Mapping[FamilyKey, list[VersionNodes]]) -> dict[Key, list[VersionNodes]]:
    """Families that grow from version to version: the newest version, and the growing versions that lead to it.

    Each step is one that chance does not explain: the intervals of the medians do not meet. A family that went back to an older
    version is not on its way.

    Args:
        versions: ``version_nodes(counts)``.
    """
    found = {}
    for versions_of_family in versions.values():
        if versions_of_family[-1].last < max(one.last for one in versions_of_family):
            continue
        chain = versions_of_family[-1:]
        for earlier in reversed(versions_of_family[:-1]):
            if not earlier.median.high < chain[0].median.low:
                break
            chain.insert(0, earlier)
        if len(chain) > 1:
            found[versions_of_family[-1].key] = chain
    return found


def steps_to_cap(
    versions: Mapping[FamilyKey, list[VersionNodes]], cap: float | Callable[[Key], float]
) -> dict[Key, list[VersionNodes]]:
    """Those of ``chains`` whose next version may pass the cap.

    It does if it is as large as the last step, or, after two steps of growth, if it multiplies as the last did.

    Args:
        versions: ``version_nodes(counts)``.
        cap: Trace entries with which a run meets the engine's cap, or what tells them of a version.
    """
    at = cap if callable(cap) else lambda _: cap
    return {key: chain for key, chain in chains(versions).items() if _next(chain) > at(key)}


def versions_to_cap(chain: list[VersionNodes], cap: float, until: datetime) -> Ahead:
    """How many versions, and days from the end of the window, until the large runs of one pass the cap, at steps like those so far.

    Args:
        chain: Of ``chains``: growing versions of one family, the newest last.
        cap: Trace entries with which a run meets the engine's cap.
        until: End of the window, UTC.
    """
    newest = chain[-1]
    large = newest.median if newest.p99.grade == "too few" else newest.p99
    if large.is_at_least or not math.isfinite(large.value):
        return NOWHERE  # runs of it are stopped already
    steps = [later.median.value - before.median.value for before, later in pairwise(chain)]
    above, below = max(large.high - large.value, 0.0), max(large.value - large.low, 0.0)
    days = (until - midnight(chain[0].first)) / timedelta(days=1)
    return ahead(cap - large.value, steps, days, grain=1.0, above=above, below=below)


def _next(chain: list[VersionNodes]) -> float:
    """Nodes of the large runs of another version, were it to the newest as that is to the one before."""
    before, newest = chain[-2].median.value, chain[-1].median.value
    large = newest if chain[-1].p99.grade == "too few" else chain[-1].p99.value
    by_size = large + newest - before
    return max(by_size, large * newest / before) if len(chain) > 2 and before > 0 else by_size
