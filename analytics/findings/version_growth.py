"""Who grows from version to version: each publication a step, the next of which may pass the cap."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from analytics.estimate import Estimate
from analytics.findings.runaway_keys import Family, Key, keyed
from analytics.findings.versions_ahead import NOWHERE, Ahead, ahead
from analytics.quantiles import Part, quantiles_of_parts
from analytics.window import midnight

if TYPE_CHECKING:
    import pandas as pd


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
            own = VersionNodes(key, rows["day"].min(), rows["day"].max(), median, p99)
            found.setdefault(key.family, []).append(own)
    return {family: sorted(own, key=lambda one: (one.first, one.key.version)) for family, own in found.items()}


def _parts(rows: pd.DataFrame) -> list[Part]:
    """Runs by their weight, in the order of their nodes; stopped runs, which have none, apart."""
    import numpy as np

    parts = []
    for weight, own in rows.groupby("sample_weight"):
        nodes = own["nodes_executed"].to_numpy(dtype=float, na_value=math.inf)
        times = own["logged_count"].to_numpy()
        order, stopped = np.argsort(nodes, kind="stable"), int(times[np.isinf(nodes)].sum())
        order = order[np.isfinite(nodes[order])]
        parts.append(Part(np.repeat(nodes[order], times[order]), float(weight)))
        parts.append(Part(np.empty(0), float(weight), stopped=True, unknown=stopped))
    return parts


def chains(versions: Mapping[Family, list[VersionNodes]]) -> dict[Key, list[VersionNodes]]:
    """Families that grow from version to version: the newest version, and the growing versions that lead to it.

    Each step is one that chance does not explain: the intervals of the medians do not meet. A family that went back to an older
    version is not on its way.

    Args:
        versions: ``version_nodes(counts)``.
    """
    found = {}
    for own in versions.values():
        if own[-1].last < max(one.last for one in own):
            continue
        chain = own[-1:]
        for earlier in reversed(own[:-1]):
            if not earlier.median.high < chain[0].median.low:
                break
            chain.insert(0, earlier)
        if len(chain) > 1:
            found[own[-1].key] = chain
    return found


def steps_to_cap(
    versions: Mapping[Family, list[VersionNodes]], cap: float | Callable[[Key], float]
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
