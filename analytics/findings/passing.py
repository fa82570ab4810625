"""Who passed while a cap stopped others: does it look as if the cap had been lowered?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from analytics.findings.runaway_keys import Key
from analytics.findings.runaway_stops import Burst
from analytics.warehouse import records

if TYPE_CHECKING:
    from analytics.warehouse import Warehouse

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
    lake: Warehouse, key: Key, bursts: Sequence[Burst], since: datetime, until: datetime, *, node_cap: float
) -> Passed:
    """Compare the runs that passed during the bursts with those of all other times.

    A lower cap lets only smaller runs pass. It is taken into account where

    - those that passed meanwhile are smaller than chance lets them be: were they drawn like all others, none of ``m`` would exceed
      the largest with probability ``(1 - q) ** m``, where a share ``q`` of the others does; or
    - none that passed meanwhile is as large as the largest at other times, and that one leaves more room below the cap than the
      tail of the runs fills: then nothing but a change explains why any run is stopped.

    A strategy that always lives just below the cap and now and then steps over it is neither.

    Args:
        lake: Where the runs are.
        key: Which version.
        bursts: Its bursts of stopped runs, oldest first.
        since, until: Where other times are looked for, UTC; the bursts lie within.
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
            since=since,
            until=until,
        )
    )
    beside, others = (
        {int(row["nodes_executed"]): int(row["logged_count"]) for row in found if bool(row["is_meanwhile"]) is within}
        for within in (True, False)
    )
    meanwhile, otherwise = max(beside, default=None), max(others, default=None)
    if otherwise is None or sum(burst.count for burst in bursts) < _LEAST_STOPS:
        return Passed(meanwhile, otherwise, fits_lowered=False)
    room = node_cap - otherwise >= _tail(others)
    if meanwhile is None:
        return Passed(None, otherwise, fits_lowered=room)
    above = sum(count for nodes, count in others.items() if nodes > meanwhile) / sum(others.values())
    smaller = above > 0 and (1 - above) ** sum(beside.values()) < _CHANCE
    return Passed(meanwhile, otherwise, fits_lowered=smaller or (room and meanwhile < otherwise))


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
