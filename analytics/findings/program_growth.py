"""Whose programs grow from version to version towards what the validator takes: a headroom of its own, which no run shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from analytics.findings.program_sizes import Stored
from analytics.findings.runaway_keys import Family, Key, keyed
from analytics.findings.versions_ahead import NOWHERE, Ahead, ahead
from analytics.window import midnight

if TYPE_CHECKING:
    import pandas as pd

MOST = 8
"""Versions whose steps are looked at: how a program grew long ago says little of the next version."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ProgramGrowth:
    """The program of the version that is live, and where its growth leads.

    Attributes:
        key: The version.
        nodes: What the validator counts of the last versions, by version, oldest first; the live one is the last.
        room: Nodes that another version may add; negative where it is above the limit already.
        smallest_rule: Nodes of its smallest rule; None where it has none.
        refusal: Why the validator refuses the program as it is stored; empty where it takes it.
        ahead: Versions and days until a version is refused; `NOWHERE` where the program does not grow.
    """

    key: Key
    nodes: tuple[tuple[int, int], ...]
    room: float
    smallest_rule: int | None
    refusal: str
    ahead: Ahead = field(default=NOWHERE)

    @property
    def next_is_refused(self) -> bool:
        """Another version that adds what the last has added is refused."""
        return bool(self.ahead.steps) and self.ahead.steps[-1] > self.room


def program_growth(
    stored: Mapping[Key, Stored], counts: pd.DataFrame, until: datetime, node_cap: float
) -> dict[Key, ProgramGrowth]:
    """The program of each family's live version, and the versions before it.

    Steps are told from exact counts, for definitions are not sampled; what is estimated is that they go on. A program grows where
    its live version is the newest and the largest of the last, the last step led up, and at least half of them did: a version
    that only changes a number adds nothing, and is a step all the same. When a version came is its first day in the log, where the
    log shows days before it; else its publication, unless a rollback has overwritten that, then the making of its row.

    Args:
        stored: ``stored_programs(lake)``.
        counts: The query nodes_by_day: who ran when.
        until: End of the window, UTC.
        node_cap: What the validator takes at most.
    """
    days = _days_of(counts)
    begins = min((first for first, _ in days.values()), default=until)
    families: dict[Family, list[Key]] = {}
    for key, one in stored.items():
        if one.counted is not None and (key in days or not one.is_draft) and _came_before(one, until):
            families.setdefault(key.family, []).append(key)
    found = {}
    for keys in families.values():
        keys.sort(key=lambda key: key.version)
        ran = [key for key in keys if key in days]
        if not ran:
            continue
        live = max(ran, key=lambda key: (days[key][1], key.version))
        own = _own(live, [key for key in keys if key.version <= live.version][-MOST:], stored, node_cap)
        if live == keys[-1] and _leads_up([count for _, count in own.nodes]):
            came = _came(keys[-MOST:], stored, days, begins)
            own = _with_ahead(own, (until - came) / _DAY if came else 0.0)
        found[live] = own
    return found


def _own(live: Key, keys: Sequence[Key], stored: Mapping[Key, Stored], node_cap: float) -> ProgramGrowth:
    counted = {key: one for key in keys if (one := stored[key].counted) is not None}
    nodes = tuple((key.version, one.nodes) for key, one in counted.items())
    last = counted[live]
    return ProgramGrowth(live, nodes, node_cap - last.nodes, last.smallest_rule, last.refusal)


def _with_ahead(own: ProgramGrowth, exposure_days: float) -> ProgramGrowth:
    counts = [count for _, count in own.nodes]
    steps = [float(later - before) for before, later in pairwise(counts)]
    found = ahead(own.room, steps, exposure_days, grain=own.smallest_rule or 0.0)
    return ProgramGrowth(own.key, own.nodes, own.room, own.smallest_rule, own.refusal, found)


def _leads_up(counts: Sequence[int]) -> bool:
    steps = [later - before for before, later in pairwise(counts)]
    return (
        bool(steps)
        and steps[-1] > 0
        and counts[-1] == max(counts)
        and 2 * sum(step > 0 for step in steps) >= len(steps)
    )


def _days_of(counts: pd.DataFrame) -> dict[Key, tuple[datetime, datetime]]:
    """First and last day of each version in the log."""
    return {key: (midnight(rows["day"].min()), midnight(rows["day"].max())) for key, rows in keyed(counts)}


def _came_before(one: Stored, until: datetime) -> bool:
    """Whether a version was there before the end of the window, as far as its row says."""
    return one.created_at is None or one.created_at < until


def _came(
    keys: Sequence[Key],
    stored: Mapping[Key, Stored],
    days: Mapping[Key, tuple[datetime, datetime]],
    begins: datetime,
) -> datetime | None:
    """When the first of several versions came; None where nothing tells."""
    first, second = keys[:2]
    if first in days and days[first][0] > begins:
        return days[first][0]
    # The next version's draft is made from one that is published: what is later is a rollback's.
    one, drafted = stored[first], stored[second].created_at
    if one.published_at is not None and (drafted is None or one.published_at <= drafted):
        return one.published_at
    return one.created_at or (days[first][0] if first in days else None)
