"""A lake of millions of logged rows without traces, written straight from a generator: no server takes part.

Forty tenants of very different sizes, each with strategies and versions of very different sizes. Runs are invented first and
then sampled, as the engine does it: every failure is logged and one ok run in twenty, so that about eleven logged rows in a
hundred are failures where of the runs fewer than one in a hundred failed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analytics.lake.lake import Lake
from analytics.model import Partition, PartitionInfo
from benchmarks import lakes
from benchmarks.lakes import FIRST_DAY, RATE, US_A_DAY

OTHER_RATE = 0.1
CHANGED = "9"
"""Last digit of the tenants whose rate changed in the middle of the month."""
FAILED_OF_LOGGED = 0.11
_STATUSES = ("ok", "error", "timeout", "limit")
_CODES = (None, "DSL_EVALUATION", "DSL_TIMEOUT", "DSL_NODE_LIMIT")


@dataclass(frozen=True, slots=True)
class Shape(lakes.Shape):
    """What a lake is to hold.

    Attributes:
        realms: Its rows spread over.
    """

    realms: int = 40


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

    def make(lake: Lake) -> None:
        chance = np.random.default_rng(7)
        tenants = list(_tenants(shape, chance))
        for day in range(shape.days):
            infos = [_write(lake, tenant, day, shape, chance) for tenant in tenants]
            lakes.record(lake, day, filter(None, infos))

    return lakes.prepare(cache, shape, make)


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
    columns = _rows(tenant, day, shape, chance)
    count = len(columns["status"])
    if not count:
        return None
    partition = Partition(tenant.realm, FIRST_DAY + timedelta(days=day))
    columns["realm_id"] = _repeated(tenant.realm, count)
    ids = lakes.random_ids(chance, count)
    return lakes.write(lake, partition, lakes.log_table(columns, count), ids, tenant.rate(day))


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
    times = lakes.moments(np.sort(chance.integers(0, US_A_DAY, count)) + day * US_A_DAY)
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
