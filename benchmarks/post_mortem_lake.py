"""A lake of one strategy in two versions: a million logged runs, 25 million trace entries, no server.

Every trace is one that the evaluator left for the real program of its version: some ten thousand events per version are
played, and each logged row draws one of them; its id, time, user and duration are its own. Version 3 pays more for one case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analytics.lake import definitions
from analytics.lake.lake import Lake
from analytics.model import Partition, PartitionInfo
from analytics.program import generate_ids
from benchmarks import events, lakes, post_mortem_events
from benchmarks.events import Pool, draw_users, drawn_columns
from benchmarks.lakes import FIRST_DAY, US_A_DAY, Version
from benchmarks.post_mortem_events import AMOUNT, play, program

REALM, FAMILY = "tenant-0001", "Ride bonus"
FAILED_OF_LOGGED, TIMED_OUT_OF_FAILED = 0.03, 0.3
SWITCH = timedelta(days=8, hours=9, minutes=30)
VERSIONS = {number: Version(REALM, FAMILY, number) for number in AMOUNT}


@dataclass(frozen=True, slots=True)
class Shape(lakes.Shape):
    """What a lake is to hold; the second half of its days is the window of the report, the first its baseline.

    Attributes:
        played: Events that the evaluator plays for each version; every row has the trace of one.
    """

    days: int = 14
    played: int = 20_000
    made_by = (events, post_mortem_events)

    @property
    def since(self) -> date:
        """The window's first day."""
        return FIRST_DAY + timedelta(days=self.days // 2)


def prepare(cache: Path, shape: Shape) -> Path:
    """The lake of this shape; made when the cache does not have it yet, or has half of it."""

    def make(lake: Lake) -> None:
        chance = np.random.default_rng(lakes.SEED)
        since = {2: timedelta(0), 3: SWITCH}
        programs = [of.definition(generate_ids(program(number)), since[number]) for number, of in VERSIONS.items()]
        definitions.write(lake, programs, lake.root)
        pools = {version: play(version, shape.played) for version in AMOUNT}
        for day in range(shape.days):
            lakes.record(lake, day, [_write(lake, pools, day, shape, chance)])

    return lakes.prepare(cache, shape, make)


def _write(lake: Lake, pools: dict[int, Pool], day: int, shape: Shape, chance: np.random.Generator) -> PartitionInfo:
    import pyarrow as pa

    times = np.sort(chance.integers(0, US_A_DAY, chance.poisson(shape.rows / shape.days))) + day * US_A_DAY
    border = int(np.searchsorted(times, SWITCH // timedelta(microseconds=1)))
    parts = [
        _rows(pools[version], VERSIONS[version], some, chance)
        for version, some in ((2, times[:border]), (3, times[border:]))
        if len(some)
    ]
    ids = lakes.random_ids(chance, len(times))
    ids[:, 6], ids[:, 8] = ids[:, 6] & 0x0F | 0x40, ids[:, 8] & 0x3F | 0x80  # of a random UUID
    # rows lie by strategy, version and time; the two versions were not live at once, so their ids decide
    table = pa.concat_tables(sorted(parts, key=lambda part: str(part["strategy_id"][0]))).unify_dictionaries()
    return lakes.write(lake, Partition(REALM, FIRST_DAY + timedelta(days=day)), table, ids)


def _rows(pool: Pool, version: Version, times: Any, chance: np.random.Generator) -> Any:
    """Logged rows of one version at these times: each an event of its pool, drawn anew."""
    import pyarrow as pa

    count = len(times)
    failed = chance.random(count) < FAILED_OF_LOGGED
    late = failed & (chance.random(count) < TIMED_OUT_OF_FAILED)
    event = pa.array(chance.integers(0, len(pool.nodes), count), mask=failed)
    codes = np.where(late, "DSL_TIMEOUT", pool.codes[chance.integers(0, len(pool.codes), count)])
    users = draw_users(chance, count)
    took = np.where(late, 500 + chance.exponential(260, count), chance.lognormal(2.1, 0.6, count))
    columns = {
        "external_user_id": users,
        "status": lakes.named(["ok", "error", "timeout"], failed.astype(int) + late),
        "error_code": pa.array(codes, mask=~failed).dictionary_encode(),
        "duration_ms": pa.array(np.round(took, 3)),
        **drawn_columns(version, pool, times, event, failed, chance),
    }
    return lakes.log_table(columns, count)
