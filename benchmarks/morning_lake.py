"""A month of fifty strategies, a hundred versions, six tenants: ten million logged runs with their traces, no server.

As in the post-mortem's lake every trace is one that the evaluator left for the real program of its version: some thousand
events per version are played, and each logged row draws one. Planted are a strategy that grows towards the cap, an afternoon
under a lowered cap, a stalled event loop, and a slow field.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analytics.lake import definitions
from analytics.lake.lake import Lake
from analytics.model import Partition, PartitionInfo
from benchmarks import events, lakes, morning_events, post_mortem_events
from benchmarks.events import Pool, draw_users, drawn_columns
from benchmarks.lakes import FIRST_DAY, US_A_DAY
from benchmarks.morning_events import CAPPED, GROWING, STORED, Version, fleet, play

FAILED_OF_LOGGED, CANCELLED = 0.03, 0.003
TIMEOUTS_A_DAY = 20
"""Scattered over all strategies: nobody's fault."""
LEVEL, STEP, WIDTH = 250.0, 18.0, 130.0
"""Nodes of the growing strategy: where it begins, what a day adds, and how far its runs lie apart."""
STATUSES = ("ok", "error", "timeout", "limit")


@dataclass(frozen=True, slots=True)
class Shape(lakes.Shape):
    """What a lake is to hold; its days are the window of the report.

    Attributes:
        played: Events that the evaluator plays for each version; every row has the trace of one.
        families, realms: Its rows spread over.
    """

    played: int = 2_000
    families: int = 50
    realms: int = 6
    made_by = (events, morning_events, post_mortem_events)

    @property
    def limits(self) -> int:
        """Runs that the lowered cap stopped, on the last day but one."""
        return max(self.rows // 200, 30)

    @property
    def stalled(self) -> int:
        """Timeouts of the stalled event loop, ten days before the end."""
        return max(self.rows // 20_000, 40)


def prepare(cache: Path, shape: Shape) -> Path:
    """The lake of this shape; made when the cache does not have it yet, or has half of it."""

    def make(lake: Lake) -> None:
        chance = np.random.default_rng(lakes.SEED)
        versions = fleet(shape.families, shape.realms, shape.days)
        programs = [version.definition(version.program(), timedelta(days=version.since)) for version in versions]
        definitions.write(lake, programs, lake.root)
        pools = {version: play(version, shape.played) for version in versions}
        for day in range(shape.days):
            lakes.record(lake, day, _write(lake, pools, day, shape, chance))

    return lakes.prepare(cache, shape, make)


def _write(
    lake: Lake, pools: dict[Version, Pool], day: int, shape: Shape, chance: np.random.Generator
) -> list[PartitionInfo]:
    """A day's partitions, one after the other: a busy tenant has a million trace entries or two."""
    import pyarrow as pa

    planned = _planned(list(pools), day, shape, chance)
    infos = []
    for realm in sorted({version.realm for version in pools}):
        # Rows lie by strategy, version and time.
        own = sorted((version for version in planned if version.realm == realm), key=lambda one: one.strategy_id)
        parts = [_rows(pools[version], version, day, *planned[version], chance) for version in own]
        table = pa.concat_tables(parts).unify_dictionaries()
        ids = lakes.random_ids(chance, len(table))
        infos.append(lakes.write(lake, Partition(realm, FIRST_DAY + timedelta(days=day)), table, ids))
    return infos


def _planned(
    versions: list[Version], day: int, shape: Shape, chance: np.random.Generator
) -> dict[Version, tuple[Any, Any, Any]]:
    """Times within the day, statuses and error codes of every version's logged rows."""
    found = {}
    live = {v: max(min(v.until, day + 1.0) - max(v.since, float(day)), 0.0) for v in versions}
    for version, part in live.items():
        if not part:
            continue
        start = int((max(version.since, day) - day) * US_A_DAY)
        count = chance.poisson(shape.rows / shape.days * version.share * part)
        status = (chance.random(count) < FAILED_OF_LOGGED).astype(int)
        times = [chance.integers(start, start + int(part * US_A_DAY), count)]
        kinds = [status, np.full(chance.poisson(TIMEOUTS_A_DAY * version.share * part), 2)]
        times.append(chance.integers(start, start + int(part * US_A_DAY), len(kinds[1])))
        if version.family == CAPPED and day == shape.days - 2:
            kinds.append(np.full(shape.limits, 3))
            times.append(chance.integers(_at(13, 0), _at(13, 40), shape.limits))
        if day == shape.days - 10 and version.number == 2 and part == 1:
            stalled = -(-shape.stalled * 2 // shape.families)
            kinds.append(np.full(stalled, 2))
            times.append(chance.integers(_at(10, 15), _at(10, 16), stalled))
        moments, statuses = np.concatenate(times), np.concatenate(kinds)
        order = np.argsort(moments, kind="stable")
        found[version] = moments[order], statuses[order]
    return found


def _at(hour: int, minute: int) -> int:
    return (hour * 60 + minute) * 60_000_000


def _rows(pool: Pool, version: Version, day: int, times: Any, status: Any, chance: np.random.Generator) -> Any:
    """Logged rows of one version at these times of the day: each an event of its pool, drawn anew."""
    import pyarrow as pa

    count = len(times)
    failed = status > 0
    cancelled = ~failed & (chance.random(count) < CANCELLED)
    blank = failed | cancelled
    first, last = 0, len(pool.nodes)
    if version.family == GROWING:
        level = LEVEL + STEP * day
        first, last = (int(np.searchsorted(pool.nodes, nodes)) for nodes in (level, level + WIDTH))
    event = pa.array(chance.integers(first, max(last, first + 1), count).clip(max=len(pool.nodes) - 1), mask=blank)
    nodes = pool.nodes[event.fill_null(0).to_numpy()]
    codes = pool.codes[chance.integers(0, len(pool.codes), count)]
    codes = np.select([status == 2, status == 3], ["DSL_TIMEOUT", "DSL_LIMIT_EXCEEDED"], codes)
    took = (1 + 0.04 * nodes + 3 * len(version.fields)) * chance.lognormal(0, 0.3, count)
    took += version.slow_ms * chance.lognormal(0, 0.2, count)
    took = np.select([status == 2, status == 3], [500 + chance.exponential(200, count), 20 + took], took)
    cut = ~blank & (nodes > STORED)
    notes = np.unique(nodes[cut])
    users = draw_users(chance, count)
    columns = {
        "external_user_id": users,
        "status": lakes.named(list(STATUSES), status),
        "error_code": pa.array(codes, mask=~failed).dictionary_encode(),
        "duration_ms": pa.array(np.round(took, 3)),
        "notes": pa.DictionaryArray.from_arrays(
            pa.array(np.searchsorted(notes, nodes).astype(np.int32), mask=~cut),
            pa.array([f"trace truncated: {n} -> {STORED} entries" for n in [*notes, 0]]),
        ),
        **drawn_columns(version, pool, times + day * US_A_DAY, event, failed, chance),
    }
    return lakes.log_table(columns, count)
