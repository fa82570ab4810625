"""A lake of one strategy in two versions: a million logged runs, 25 million trace entries, no server.

Every trace is one that the evaluator left for the real program of its version: some ten thousand events per version are
played, and each logged row draws one of them; its id, time, user and duration are its own. Version 3 pays more for one case.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import sys
import uuid
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from analytics.estimates.sampling_rates import RateStep
from analytics.extraction.encode import parquet_writer
from analytics.lake import definitions, schema
from analytics.lake.lake import Lake
from analytics.model import DayRecord, Fingerprint, Partition, PartitionInfo
from analytics.program import generate_ids
from analytics.window import ONE_DAY
from benchmarks import post_mortem_events
from benchmarks.post_mortem_events import AMOUNT, Pool, play, program

FIRST_DAY = date(2026, 6, 1)
REALM, FAMILY = "tenant-0001", "Ride bonus"
RATE = 0.05
FAILED_OF_LOGGED, TIMED_OUT_OF_FAILED = 0.03, 0.3
USERS = 4_000
SWITCH = timedelta(days=8, hours=9, minutes=30)
_SEED = 20260601


@dataclass(frozen=True, slots=True)
class Shape:
    """What a lake is to hold.

    Attributes:
        rows: Logged, about.
        played: Events that the evaluator plays for each version; every row has the trace of one.
        days: They spread over; the second half is the window of the report, the first its baseline.
    """

    rows: int
    played: int = 20_000
    days: int = 14

    @property
    def name(self) -> str:
        """Of its folder; changes with everything that decides what is in it."""
        sources = [inspect.getsource(module) for module in (sys.modules[__name__], post_mortem_events)]
        made_by = (repr(astuple(self)), *sources, repr(schema.execution_schema()))
        return f"post_mortem_{self.rows}_{hashlib.sha256(''.join(made_by).encode()).hexdigest()[:8]}"

    @property
    def since(self) -> date:
        """The window's first day."""
        return FIRST_DAY + timedelta(days=self.days // 2)

    @property
    def until(self) -> date:
        """The day after the last."""
        return FIRST_DAY + timedelta(days=self.days)


def prepare(cache: Path, shape: Shape) -> Path:
    """The lake of this shape; made when the cache does not have it yet, or has half of it."""
    folder = cache / "lakes" / shape.name
    done = folder.with_suffix(".done")
    if not done.exists():
        for other in (cache / "lakes").glob(f"post_mortem_{shape.rows}_*"):  # of older code, or killed
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        lake, chance = Lake(folder), np.random.default_rng(_SEED)
        folder.mkdir(parents=True)
        definitions.write(lake, [_definition(version) for version in AMOUNT], folder)
        pools = {version: play(version, shape.played) for version in AMOUNT}
        for day in range(shape.days):
            lake.record(_record(_write(lake, pools, day, shape, chance)))
        done.touch()
    return folder


def strategy_id(version: int) -> str:
    """The id of a version's definition."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{REALM}/{FAMILY}/{version}"))


def _write(lake: Lake, pools: dict[int, Pool], day: int, shape: Shape, chance: np.random.Generator) -> PartitionInfo:
    import pyarrow as pa

    partition = Partition(REALM, FIRST_DAY + timedelta(days=day))
    start = day * 86_400_000_000
    times = np.sort(chance.integers(0, 86_400_000_000, chance.poisson(shape.rows / shape.days))) + start
    border = int(np.searchsorted(times, SWITCH // timedelta(microseconds=1)))
    parts = [
        _rows(pools[version], version, some, chance)
        for version, some in ((2, times[:border]), (3, times[border:]))
        if len(some)
    ]
    raw = np.frombuffer(chance.bytes(16 * len(times)), np.uint8).reshape(-1, 16)
    # rows lie by strategy, version and time; the two versions were not live at once, so their ids decide
    ids = pa.array([str(uuid.UUID(bytes=one.tobytes(), version=4)) for one in raw])
    table = pa.concat_tables(sorted(parts, key=lambda part: str(part["strategy_id"][0]))).unify_dictionaries()
    table = table.set_column(0, "execution_id", ids)
    path, rollup = (lake.path(kind, partition) for kind in ("executions", "node_days"))
    for place, rows in ((path, table), (rollup, rolled_up(table))):
        place.parent.mkdir(parents=True, exist_ok=True)
        with parquet_writer.create(place, rows.schema, {}, small=len(rows) < parquet_writer.SMALL_ROWS) as writer:
            writer.write_table(rows, row_group_size=parquet_writer.ROW_GROUP_ROWS)
    id_hash = sum(uuid.UUID(text).int >> 68 for text in ids.to_pylist())
    counted = table["status"].to_pandas().value_counts()
    return PartitionInfo(
        partition=partition,
        fingerprint=Fingerprint(len(table), id_hash, id_hash),
        row_count=len(table),
        kept_count=0,
        id_hash=id_hash,
        trace_entries=int(np.sum(table["nodes_executed"].to_numpy())),
        irregular_count=0,
        status_counts={str(status): int(some) for status, some in counted.items() if some},
        sample_rates=(RateStep(None, RATE),),
        file_bytes=path.stat().st_size,
        node_days_bytes=rollup.stat().st_size,
        extracted_at=datetime(2026, 9, 1, tzinfo=UTC),
    )


def _rows(pool: Pool, version: int, times: Any, chance: np.random.Generator) -> Any:
    """Logged rows of one version at these times: each an event of its pool, drawn anew."""
    import pyarrow as pa

    count = len(times)
    failed = chance.random(count) < FAILED_OF_LOGGED
    late = failed & (chance.random(count) < TIMED_OUT_OF_FAILED)
    event = pa.array(chance.integers(0, len(pool.nodes), count), mask=failed)
    filled = event.fill_null(0).to_numpy()
    codes = np.where(late, "DSL_TIMEOUT", pool.codes[chance.integers(0, len(pool.codes), count)])
    shares = 1 / np.arange(8, USERS + 8) ** 0.6
    users = np.searchsorted(np.cumsum(shares / shares.sum()), chance.random(count)).clip(max=USERS - 1)
    took = np.where(late, 500 + chance.exponential(260, count), chance.lognormal(2.1, 0.6, count))
    zero = int(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC).timestamp()) * 1_000_000
    moments = pa.array(times + zero).cast(pa.timestamp("us", tz="UTC"))
    columns = {
        "created_at": moments,
        "updated_at": moments,
        "strategy_id": named([strategy_id(version)], np.zeros(count, int)),
        "strategy_version": pa.array(np.full(count, version, np.int32)),
        "strategy_type": named(["DSL_FULL"], np.zeros(count, int)),
        "realm_id": named([REALM], np.zeros(count, int)),
        "external_game_id": named(["game-1", "game-2"], chance.integers(0, 2, count)),
        "external_task_id": named(["morning", "evening", "weekend"], chance.integers(0, 3, count)),
        "external_user_id": named([f"user-{n:05}" for n in range(USERS)], users),
        "status": named(["ok", "error", "timeout"], failed.astype(int) + late),
        "error_code": pa.array(codes, mask=~failed).dictionary_encode(),
        "points": pa.array(pool.points[filled], mask=failed),
        "case_name": pool.cases.take(event),
        "duration_ms": pa.array(np.round(took, 3)),
        "nodes_executed": pa.array(np.where(failed, 0, pool.nodes[filled]).astype(np.int32)),
        "trace": pool.traces.take(event),
        "trace_irregular": pa.array(np.full(count, "null"), mask=~failed).dictionary_encode(),
        "sampled": pa.array(~failed),
        "sample_weight": pa.array(np.where(failed, 1.0, 1 / RATE)),
    }
    return pa.table({f.name: columns.get(f.name, pa.nulls(count, f.type)) for f in schema.execution_schema()})


def rolled_up(table: Any) -> Any:
    """The day's per-node rollup, as ``analytics.extraction.encode.partition_files`` has it."""
    with duckdb.connect() as connection:
        connection.register("rows", table)
        return connection.sql(_ROLLUP).to_arrow_table().cast(schema.node_day_schema())


_ROLLUP = """
    with entries as (select realm_id::varchar as realm_id, strategy_id::varchar as strategy_id, strategy_version,
                            sample_weight, unnest(trace) as e from rows)
    select realm_id, strategy_id, strategy_version, e.node_id::varchar as node_id, e.type::varchar as type,
           e.branch::varchar as branch, count(*) as entry_count, sum(sample_weight) as est_entries,
           count(*) filter (where e.value = 'true') as true_count, count(*) filter (where e.value = 'false') as false_count,
           count(*) filter (where e.value = 'null') as null_count,
           count(*) filter (where starts_with(e.value, '"')) as text_count, count(e.value_number) as number_count,
           sum(e.value_number) as number_sum, sum(e.value_number ** 2) as number_sum_squares,
           min(e.value_number) as number_min, max(e.value_number) as number_max
      from entries group by all order by all"""


def named(names: list[str], codes: Any) -> Any:
    """Texts by their places in a list, as a dictionary."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def _definition(version: int) -> dict[str, Any]:
    at = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    at += SWITCH if version == 3 else -timedelta(days=60)
    row = dict.fromkeys([column.lake for column in schema.DEFINITION_COLUMNS])
    return row | {
        "strategy_id": strategy_id(version),
        "realm_id": REALM,
        "name": FAMILY,
        "strategy_type": "DSL_FULL",
        "ast_json": json.dumps(generate_ids(program(version))),
        "strategy_version": version,
        "status": "PUBLISHED",
        "published_at": at.isoformat(),
    }


def _record(info: PartitionInfo) -> DayRecord:
    day = info.partition.day or FIRST_DAY
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + ONE_DAY
    return DayRecord(
        day=day,
        partitions={info.partition.realm: info},
        covers_all_realms=True,
        complete_until=end,
        horizon_reason="generated",
        source={"database": "generated"},
        recorded_at=end,
    )
