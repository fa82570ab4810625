"""Who grows from version to version: each publication a step, the next of which may pass the cap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analytics.estimate import Estimate
from analytics.findings.runaway_keys import Key, keyed
from analytics.quantiles import Part, quantiles_of_parts

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


def steps_to_cap(
    versions: dict[tuple[str | None, str], list[VersionNodes]], cap: float
) -> dict[Key, list[VersionNodes]]:
    """Families whose next version may pass the cap: the newest version, and the growing versions that lead to it.

    The last step must be one that chance does not explain (the intervals of the medians do not meet). The next passes the cap
    if it is as large as the last, or, after two steps of growth, if it multiplies as the last did. A family that went back to an
    older version is not on its way.

    Args:
        versions: ``version_nodes(counts)``.
        cap: The engine's cap of nodes.
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
        if len(chain) > 1 and _next(chain) > cap:
            found[own[-1].key] = chain
    return found


def _next(chain: list[VersionNodes]) -> float:
    """Nodes of the large runs of another version, were it to the newest as that is to the one before."""
    before, newest = chain[-2].median.value, chain[-1].median.value
    large = newest if chain[-1].p99.grade == "too few" else chain[-1].p99.value
    by_size = large + newest - before
    return max(by_size, large * newest / before) if len(chain) > 2 and before > 0 else by_size
