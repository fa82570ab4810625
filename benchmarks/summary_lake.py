"""A lake of millions of logged rows without traces, written straight from a generator: no server takes part.

Forty tenants of very different sizes, each with strategies and versions of very different sizes. Runs are invented first and
then sampled, as the engine does it: every failure is logged and one ok run in twenty, so that about eleven logged rows in a
hundred are failures where of the runs fewer than one in a hundred failed.
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analytics.estimates.sampling_rates import RateStep
from analytics.extraction.encode import parquet_writer
from analytics.lake import schema
from analytics.lake.lake import Lake
from analytics.model import DayRecord, Fingerprint, Partition, PartitionInfo
from analytics.window import ONE_DAY

FIRST_DAY = date(2026, 6, 1)
RATE, OTHER_RATE = 0.05, 0.1
CHANGED = "9"
"""Last digit of the tenants whose rate changed in the middle of the month."""
FAILED_OF_LOGGED = 0.11
_STATUSES = ("ok", "error", "timeout", "limit")
_CODES = (None, "DSL_EVALUATION", "DSL_TIMEOUT", "DSL_NODE_LIMIT")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a lake is to hold.

    Attributes:
        rows: Logged, about.
        realms, days: They spread over.
    """

    rows: int
    realms: int = 40
    days: int = 30

    @property
    def name(self) -> str:
        """Of its folder; changes with everything that decides what is in it."""
        made_by = (repr(astuple(self)), inspect.getsource(sys.modules[__name__]), repr(schema.execution_schema()))
        return f"summary_{self.rows}_{hashlib.sha256(''.join(made_by).encode()).hexdigest()[:8]}"

    @property
    def until(self) -> date:
        """The day after the last."""
        return FIRST_DAY + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class _Strategy:
    """One version of a strategy: its share of the tenant's rows, and what its runs are like."""

    strategy_id: str
    version: int
    share: float
    failing: float
    took: tuple[float, float]
    nodes: float
    paid: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Tenant:
    realm: str
    share: float
    steps: tuple[tuple[int, float], ...]
    strategies: tuple[_Strategy, ...]

    def rate(self, day: int) -> float:
        return next(rate for since, rate in reversed(self.steps) if day >= since)


def prepare(cache: Path, shape: Shape) -> Path:
    """The lake of this shape; made when the cache does not have it yet, or has half of it."""
    folder = cache / "lakes" / shape.name
    done = folder.with_suffix(".done")
    if not done.exists():
        for other in (cache / "lakes").glob(f"summary_{shape.rows}_*"):  # of older code, or killed
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        lake, chance = Lake(folder), np.random.default_rng(7)
        tenants = list(_tenants(shape, chance))
        for day in range(shape.days):
            infos = [_write(lake, tenant, day, shape, chance) for tenant in tenants]
            lake.record(record_of(FIRST_DAY + timedelta(days=day), [info for info in infos if info]))
        done.touch()
    return folder


def _tenants(shape: Shape, chance: np.random.Generator) -> Iterator[_Tenant]:
    shares = 1 / np.arange(1, shape.realms + 1) ** 0.9
    for number, share in enumerate(shares / shares.sum()):
        versions = [
            (str(uuid.UUID(bytes=chance.bytes(16), version=4)), version + 1)
            for _ in range(chance.integers(2, 8))
            for version in range(chance.integers(1, 4))
        ]
        weights = chance.lognormal(0, 1.5, len(versions))
        strategies = tuple(
            _Strategy(
                *versions[place],
                share=float(weights[place] / weights.sum()),
                failing=float(FAILED_OF_LOGGED * chance.gamma(4, 0.25)),
                took=(float(chance.normal(2.5, 0.8)), float(chance.uniform(0.5, 1.2))),
                nodes=float(chance.uniform(8, 90)),
                paid=(float(chance.normal(2, 1)), float(chance.uniform(0.8, 1.6))),
            )
            for place in range(len(versions))
        )
        steps = ((0, RATE), (shape.days // 2, OTHER_RATE)) if str(number)[-1] == CHANGED else ((0, RATE),)
        yield _Tenant(f"tenant-{number:04}", float(share), steps, strategies)


def _write(lake: Lake, tenant: _Tenant, day: int, shape: Shape, chance: np.random.Generator) -> PartitionInfo | None:
    import pyarrow as pa

    columns = _rows(tenant, day, shape, chance)
    count = len(columns["status"])
    if not count:
        return None
    partition = Partition(tenant.realm, FIRST_DAY + timedelta(days=day))
    path = lake.path("executions", partition)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = np.frombuffer(chance.bytes(16 * count), np.uint8).reshape(count, 16)
    columns |= {"execution_id": uuids(raw), "realm_id": _repeated(tenant.realm, count)}
    fields = schema.execution_schema()
    table = pa.table({f.name: columns.get(f.name, pa.nulls(count, f.type)) for f in fields}, schema=fields)
    with parquet_writer.create(path, fields, {}, small=count < parquet_writer.SMALL_ROWS) as writer:
        writer.write_table(table, row_group_size=parquet_writer.ROW_GROUP_ROWS)
    id_hash = hash_of(raw)
    counted = columns["status"].to_pandas().value_counts()
    return PartitionInfo(
        partition=partition,
        fingerprint=Fingerprint(count, id_hash, id_hash),
        row_count=count,
        kept_count=0,
        id_hash=id_hash,
        trace_entries=0,
        irregular_count=0,
        status_counts={str(status): int(some) for status, some in counted.items() if some},
        sample_rates=(RateStep(None, tenant.rate(day)),),
        file_bytes=path.stat().st_size,
        node_days_bytes=0,
        extracted_at=datetime(2026, 9, 1, tzinfo=UTC),
    )


def _rows(tenant: _Tenant, day: int, shape: Shape, chance: np.random.Generator) -> dict[str, Any]:
    """The day's logged rows in order of time, all columns that the summary reads and some that it does not."""
    import pyarrow as pa

    rate = tenant.rate(day)
    own = np.array([(s.share, s.failing, *s.took, s.nodes, *s.paid) for s in tenant.strategies]).T
    expected = shape.rows * tenant.share / shape.days * own[0]
    # As many runs as bring the expected rows at the usual rate; then the sampler decides.
    ok = chance.binomial(chance.poisson(expected * (1 - own[1]) / RATE), rate)
    failed = chance.poisson(expected * own[1])
    strategy = np.repeat(np.tile(np.arange(len(expected)), 2), np.concatenate([ok, failed]))
    status = np.concatenate([np.zeros(ok.sum(), int), chance.choice(3, failed.sum(), p=(0.65, 0.2, 0.15)) + 1])
    mixed = chance.permutation(len(status))
    strategy, status = strategy[mixed], status[mixed]
    count, is_ok = len(status), status == 0
    _, _, middle, width, nodes, paid, skew = own[:, strategy]
    took = np.where(status == 2, 5_000 + chance.exponential(40, count), chance.lognormal(middle, width))
    is_cancelled = is_ok & (chance.random(count) < 0.01)
    points = np.where(chance.random(count) < 0.3, 0.0, np.round(chance.lognormal(paid, skew), 2))
    points[chance.random(count) < 0.001] = np.nan
    start = int(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC).timestamp()) + day * 86_400
    times = pa.array(np.sort(chance.integers(0, 86_400_000_000, count)) + start * 1_000_000).cast(
        pa.timestamp("us", tz="UTC")
    )
    return {
        "created_at": times,
        "updated_at": times,
        "strategy_id": _named([s.strategy_id for s in tenant.strategies], strategy),
        "strategy_version": pa.array(np.array([s.version for s in tenant.strategies], np.int32)[strategy]),
        "strategy_type": _repeated("DSL_FULL", count),
        "external_game_id": _repeated("game-1", count),
        "external_user_id": _named([f"user-{n:05}" for n in range(2_000)], chance.integers(0, 2_000, count)),
        "status": _named(_STATUSES, status),
        "error_code": _named(_CODES, status),
        "points": pa.array(points, mask=~is_ok | is_cancelled),
        "duration_ms": pa.array(took),
        "nodes_executed": pa.array(
            np.where(is_ok & ~is_cancelled, chance.negative_binomial(3, 3 / (3 + nodes)) + 3, 0).astype(np.int32)
        ),
        "sampled": pa.array(is_ok),
        "sample_weight": pa.array(np.where(is_ok, 1 / rate, 1.0)),
    }


def _named(names: Any, codes: Any) -> Any:
    import pyarrow as pa

    return pa.array(names, pa.string()).take(pa.array(codes))


def _repeated(text: str, count: int) -> Any:
    import pyarrow as pa

    return pa.repeat(pa.scalar(text), count)


def uuids(raw: Any) -> Any:
    """Sixteen random bytes a row as an id's text."""
    import pyarrow as pa

    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((len(raw), 36), ord("-"), np.uint8)
    places = [n for n in range(36) if n not in (8, 13, 18, 23)]
    text[:, places[0::2]], text[:, places[1::2]] = digits[raw >> 4], digits[raw & 15]
    offsets = np.arange(0, 36 * (len(raw) + 1), 36, dtype=np.int32)
    return pa.StringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))


def hash_of(raw: Any) -> int:
    """Of ids, as the ledger has it: the sum of their first sixty bits."""
    first60 = raw[:, :8].copy().view(">u8").ravel() >> np.uint64(4)
    return int((first60 >> 30).sum()) * 2**30 + int((first60 & (2**30 - 1)).sum())


def record_of(day: date, infos: list[PartitionInfo]) -> DayRecord:
    """The ledger's entry of a complete day."""
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + ONE_DAY
    return DayRecord(
        day=day,
        partitions={info.partition.realm: info for info in infos},
        covers_all_realms=True,
        complete_until=end,
        horizon_reason="generated",
        source={"database": "generated"},
        recorded_at=end,
    )
