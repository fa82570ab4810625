"""A month of fifty strategies, a hundred versions, six tenants: ten million logged runs with their traces, no server.

As in the post-mortem's lake every trace is one that the evaluator left for the real program of its version: some thousand
events per version are played, and each logged row draws one. Planted are a strategy that grows towards the cap, an afternoon
under a lowered cap, a stalled event loop, and a slow field.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import sys
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analytics.estimates.sampling_rates import RateStep
from analytics.extraction.encode import parquet_writer
from analytics.lake import definitions, schema
from analytics.lake.lake import Lake
from analytics.model import Fingerprint, Partition, PartitionInfo
from benchmarks import morning_events, post_mortem_events
from benchmarks.morning_events import CAPPED, GROWING, STORED, Version, fleet, play
from benchmarks.post_mortem_events import Pool
from benchmarks.post_mortem_lake import named, rolled_up
from benchmarks.summary_lake import hash_of, record_of, uuids

FIRST_DAY = date(2026, 6, 1)
RATE = 0.05
FAILED_OF_LOGGED, CANCELLED = 0.03, 0.003
TIMEOUTS_A_DAY = 20
"""Scattered over all strategies: nobody's fault."""
LEVEL, STEP, WIDTH = 250.0, 18.0, 130.0
"""Nodes of the growing strategy: where it begins, what a day adds, and how far its runs lie apart."""
STATUSES = ("ok", "error", "timeout", "limit")
USERS = 4_000
_US_A_DAY = 86_400_000_000
_SEED = 20260601


@dataclass(frozen=True, slots=True)
class Shape:
    """What a lake is to hold.

    Attributes:
        rows: Logged, about.
        played: Events that the evaluator plays for each version; every row has the trace of one.
        families, realms, days: They spread over; the days are the window of the report.
    """

    rows: int
    played: int = 2_000
    families: int = 50
    realms: int = 6
    days: int = 30

    @property
    def name(self) -> str:
        """Of its folder; changes with everything that decides what is in it."""
        sources = [inspect.getsource(m) for m in (sys.modules[__name__], morning_events, post_mortem_events)]
        made_by = (repr(astuple(self)), *sources, repr(schema.execution_schema()))
        return f"morning_{self.rows}_{hashlib.sha256(''.join(made_by).encode()).hexdigest()[:8]}"

    @property
    def until(self) -> date:
        """The day after the last."""
        return FIRST_DAY + timedelta(days=self.days)

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
    folder = cache / "lakes" / shape.name
    done = folder.with_suffix(".done")
    if not done.exists():
        for other in (cache / "lakes").glob(f"morning_{shape.rows}_*"):  # of older code, or killed
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        lake, chance = Lake(folder), np.random.default_rng(_SEED)
        folder.mkdir(parents=True)
        versions = fleet(shape.families, shape.realms, shape.days)
        definitions.write(lake, [_definition(version) for version in versions], folder)
        pools = {version: play(version, shape.played) for version in versions}
        for day in range(shape.days):
            lake.record(record_of(FIRST_DAY + timedelta(days=day), _write(lake, pools, day, shape, chance)))
        done.touch()
    return folder


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
        raw = np.frombuffer(chance.bytes(16 * len(table)), np.uint8).reshape(-1, 16)
        table = table.set_column(0, "execution_id", uuids(raw))
        infos.append(_put(lake, Partition(realm, FIRST_DAY + timedelta(days=day)), table, hash_of(raw)))
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
        start = int((max(version.since, day) - day) * _US_A_DAY)
        count = chance.poisson(shape.rows / shape.days * version.share * part)
        status = (chance.random(count) < FAILED_OF_LOGGED).astype(int)
        times = [chance.integers(start, start + int(part * _US_A_DAY), count)]
        kinds = [status, np.full(chance.poisson(TIMEOUTS_A_DAY * version.share * part), 2)]
        times.append(chance.integers(start, start + int(part * _US_A_DAY), len(kinds[1])))
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
    filled = event.fill_null(0).to_numpy()
    nodes = pool.nodes[filled]
    codes = pool.codes[chance.integers(0, len(pool.codes), count)]
    codes = np.select([status == 2, status == 3], ["DSL_TIMEOUT", "DSL_LIMIT_EXCEEDED"], codes)
    took = (1 + 0.04 * nodes + 3 * len(version.fields)) * chance.lognormal(0, 0.3, count)
    took += version.slow_ms * chance.lognormal(0, 0.2, count)
    took = np.select([status == 2, status == 3], [500 + chance.exponential(200, count), 20 + took], took)
    cut = ~blank & (nodes > STORED)
    notes = np.unique(nodes[cut])
    start = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC) + timedelta(days=day)
    moments = pa.array(times + int(start.timestamp()) * 1_000_000).cast(pa.timestamp("us", tz="UTC"))
    shares = 1 / np.arange(8, USERS + 8) ** 0.6
    users = np.searchsorted(np.cumsum(shares / shares.sum()), chance.random(count)).clip(max=USERS - 1)
    columns = {
        "created_at": moments,
        "updated_at": moments,
        "strategy_id": named([version.strategy_id], np.zeros(count, int)),
        "strategy_version": pa.array(np.full(count, version.number, np.int32)),
        "strategy_type": named(["DSL_FULL"], np.zeros(count, int)),
        "realm_id": named([version.realm], np.zeros(count, int)),
        "external_game_id": named(["game-1", "game-2"], chance.integers(0, 2, count)),
        "external_task_id": named(["morning", "evening", "weekend"], chance.integers(0, 3, count)),
        "external_user_id": named([f"user-{n:05}" for n in range(USERS)], users),
        "status": named(list(STATUSES), status),
        "error_code": pa.array(codes, mask=~failed).dictionary_encode(),
        "points": pa.array(pool.points[filled], mask=blank),
        "case_name": pool.cases.take(event),
        "duration_ms": pa.array(np.round(took, 3)),
        "nodes_executed": pa.array(np.where(blank, 0, nodes).astype(np.int32)),
        "trace": pool.traces.take(event),
        "trace_irregular": pa.array(np.full(count, "null"), mask=~blank).dictionary_encode(),
        "sampled": pa.array(~failed),
        "notes": pa.DictionaryArray.from_arrays(
            pa.array(np.searchsorted(notes, nodes).astype(np.int32), mask=~cut),
            pa.array([f"trace truncated: {n} -> {STORED} entries" for n in [*notes, 0]]),
        ),
        "sample_weight": pa.array(np.where(failed, 1.0, 1 / RATE)),
    }
    return pa.table({f.name: columns.get(f.name, pa.nulls(count, f.type)) for f in schema.execution_schema()})


def _put(lake: Lake, partition: Partition, table: Any, id_hash: int) -> PartitionInfo:
    path, rollup = (lake.path(kind, partition) for kind in ("executions", "node_days"))
    for place, rows in ((path, table), (rollup, rolled_up(table))):
        place.parent.mkdir(parents=True, exist_ok=True)
        with parquet_writer.create(place, rows.schema, {}, small=len(rows) < parquet_writer.SMALL_ROWS) as writer:
            writer.write_table(rows, row_group_size=parquet_writer.ROW_GROUP_ROWS)
    counted = table["status"].to_pandas().value_counts()
    return PartitionInfo(
        partition=partition,
        fingerprint=Fingerprint(len(table), id_hash, id_hash),
        row_count=len(table),
        kept_count=0,
        id_hash=id_hash,
        trace_entries=len(table["trace"].combine_chunks().flatten()),
        irregular_count=0,
        status_counts={str(status): int(some) for status, some in counted.items() if some},
        sample_rates=(RateStep(None, RATE),),
        file_bytes=path.stat().st_size,
        node_days_bytes=rollup.stat().st_size,
        extracted_at=datetime(2026, 9, 1, tzinfo=UTC),
    )


def _definition(version: Version) -> dict[str, Any]:
    at = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    at += timedelta(days=version.since) if version.since else -timedelta(days=60)
    row = dict.fromkeys([column.lake for column in schema.DEFINITION_COLUMNS])
    return row | {
        "strategy_id": version.strategy_id,
        "realm_id": version.realm,
        "name": version.family,
        "strategy_type": "DSL_FULL",
        "ast_json": json.dumps(version.program()),
        "strategy_version": version.number,
        "status": "PUBLISHED",
        "published_at": at.isoformat(),
    }
