"""Who passed while a cap stopped others: does it look as if the cap had been lowered?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from analytics.findings.failures.stopped_runs import Burst
from analytics.findings.runaway.keys import Key
from analytics.warehouse.warehouse import records
from analytics.window import Window

if TYPE_CHECKING:
    from analytics.warehouse.warehouse import Warehouse

_LEAST_STOPS = 3
"""One stopped run, and nobody who passed in its very moment, says nothing about the cap."""
_CHANCE = 0.01
_FEW = 60


@dataclass(frozen=True, slots=True)
class Passed:
    """Ok runs of a version while others of it were stopped, and at other times.

    Attributes:
        meanwhile: The most nodes of one that passed within the bursts; None when none was logged.
        otherwise: The same of all other times.
        fits_lowered: A lower cap would explain what was stopped: see ``passed``.
    """

    meanwhile: int | None
    otherwise: int | None
    fits_lowered: bool


def passed(
    lake: Warehouse,
    key: Key,
    bursts: Sequence[Burst],
    history: datetime,
    asked: Window,
    *,
    before: int,
    node_cap: float,
) -> Passed:
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
        return Passed(meanwhile, otherwise, fits_lowered=False)
    above = sum(count for nodes, count in others.items() if meanwhile is None or nodes > meanwhile) / others.total()
    if meanwhile is not None and above > 0 and (1 - above) ** beside.total() < _CHANCE:
        return Passed(meanwhile, otherwise, fits_lowered=True)
    runs = beside.total() + others.total()
    # A version that is new in the window has no other days to compare with.
    more = earlier > 0 and _more_than_before(stopped, before, (runs - earlier + 0.5) / (runs + 1))
    return Passed(meanwhile, otherwise, fits_lowered=above > 0 and more and node_cap - otherwise >= _tail(others))


def _more_than_before(stopped: int, before: int, part: float) -> bool:
    """Whether more are stopped now than the part of the runs that is now explains (binomial test); sure where none was before."""
    from scipy import stats

    if not before:
        return True
    return float(stats.binomtest(stopped, stopped + before, part, alternative="greater").pvalue) < _CHANCE


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
