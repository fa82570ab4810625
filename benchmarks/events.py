"""Events that the evaluator has played, and logged rows that draw one each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.program.outcome import Outcome
from benchmarks.lakes import RATE, Version, moments, named

USERS = 4_000


@dataclass(frozen=True, slots=True)
class Pool:
    """Events that one version played: what a logged row shows of each.

    Attributes:
        traces, nodes, points, cases: Of the events that ended well, place by place; traces as the lake has them.
        codes: Of those that failed.
    """

    traces: Any
    nodes: Any
    points: Any
    cases: Any
    codes: Any


def pool_of(outcomes: Sequence[Outcome], codes: Sequence[str | None], keep: int | None = None) -> Pool:
    """What the log has of runs.

    Args:
        outcomes: Of the events that ended well, with their traces.
        codes: Of those that failed.
        keep: Entries of a trace that are stored; all when not given.
    """
    import pyarrow as pa

    stored = [(outcome.trace or [])[:keep] for outcome in outcomes]
    entries = [entry for trace in stored for entry in trace]
    values = [json.dumps(entry["value"], ensure_ascii=False) for entry in entries]
    is_number = np.array([isinstance(e["value"], int | float) and not isinstance(e["value"], bool) for e in entries])
    numbers = np.array([float(e["value"]) if ok else 0.0 for e, ok in zip(entries, is_number.tolist(), strict=True)])
    parts = {
        "node_id": _coded([entry["nodeId"] for entry in entries]),
        "type": _coded([entry["type"] for entry in entries]),
        "branch": _coded([entry.get("branch") for entry in entries]),
        "value": _coded(values),
        "value_number": pa.array(numbers, mask=~is_number),
    }
    ends = pa.array(np.concatenate([[0], np.cumsum([len(trace) for trace in stored])]).astype(np.int32))
    return Pool(
        pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(list(parts.values()), names=list(parts))),
        np.array([outcome.nodes for outcome in outcomes], np.int32),
        np.array([float(outcome.points) for outcome in outcomes]),
        _coded([outcome.case_name for outcome in outcomes]),
        np.array(codes),
    )


def _coded(texts: list[str | None]) -> Any:
    import pyarrow as pa

    return pa.array(texts, pa.string()).dictionary_encode()


def drawn_columns(
    version: Version, pool: Pool, times: Any, event: Any, failed: Any, chance: np.random.Generator
) -> dict[str, Any]:
    """Columns of logged rows that follow from which event each of them draws; where it was played is left to chance.

    Args:
        version: Whose runs they are.
        pool: The events that it played.
        times: Microseconds from the beginning of ``FIRST_DAY`` on.
        event: The place of each row's event in the pool; null where nothing is left of it.
        failed: Of each row; failures are all logged.
        chance: Where chance comes from.
    """
    import pyarrow as pa

    count, blank, filled = len(failed), event.is_null(), event.fill_null(0).to_numpy()
    once = np.zeros(count, int)
    return {
        "created_at": moments(times),
        "updated_at": moments(times),
        "strategy_id": named([version.strategy_id], once),
        "strategy_version": pa.array(np.full(count, version.number, np.int32)),
        "strategy_type": named(["DSL_FULL"], once),
        "realm_id": named([version.realm], once),
        "external_game_id": named(["game-1", "game-2"], chance.integers(0, 2, count)),
        "external_task_id": named(["morning", "evening", "weekend"], chance.integers(0, 3, count)),
        "points": pa.array(pool.points[filled], mask=blank.to_numpy(False)),
        "case_name": pool.cases.take(event),
        "nodes_executed": pa.array(np.where(blank, 0, pool.nodes[filled]).astype(np.int32)),
        "trace": pool.traces.take(event),
        "trace_irregular": pa.array(np.full(count, "null"), mask=~blank.to_numpy(False)).dictionary_encode(),
        "sampled": pa.array(~failed),
        "sample_weight": pa.array(np.where(failed, 1.0, 1 / RATE)),
    }


def draw_users(chance: np.random.Generator, count: int) -> Any:
    """Who ran: a few often, most now and then."""
    shares = 1 / np.arange(8, USERS + 8) ** 0.6
    users = np.searchsorted(np.cumsum(shares / shares.sum()), chance.random(count)).clip(max=USERS - 1)
    return named([f"user-{n:05}" for n in range(USERS)], users)
