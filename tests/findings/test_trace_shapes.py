"""Shapes of traces and the values beside them: told from Arrow's numbers, they are what SQL tells from the view's texts."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analytics.findings.replay import traced_runs
from analytics.findings.replay.trace_shapes import TraceShapes
from analytics.findings.replay.trace_variants import prepare
from analytics.findings.replay.traced_runs import TracedRuns, read_traced_runs
from analytics.warehouse.run_traces import COLUMNS, SomeTraces
from analytics.warehouse.warehouse import Warehouse

_TYPES = ("field", "literal")
_SPAN = {"since": datetime(1900, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}
_VERSIONS = """
select realm_id, strategy_id, strategy_version from executions group by all order by count(*) desc, strategy_id limit 12
"""
_SHAPES = """
select run_shape(trace, status = 'ok' and coalesce(notes, '') not like 'trace truncated: %') as shape, execution_id, status,
       points, list_transform(list_filter(trace, lambda entry: list_contains($types, entry.type)), lambda entry: entry.value)
  from executions
 where realm_id is not distinct from $realm and strategy_id = $strategy and strategy_version = $version
   and trace is not null and trace_irregular is null and created_at is not null
"""


def versions(lake: Warehouse) -> list[dict[str, Any]]:
    """Those with most runs."""
    return lake.sql(_VERSIONS).df().to_dict("records")


def told(lake: Warehouse, one: dict[str, Any]) -> TracedRuns:
    realm = one["realm_id"] if isinstance(one["realm_id"], str) else None
    whose = {"realm": realm, "strategy": one["strategy_id"], "version": one["strategy_version"]}
    return read_traced_runs(lake, {**whose, **_SPAN, "part": 1.0, "kept": 1.0}, TraceShapes(_TYPES), only_kept=False)


def by_sql(lake: Warehouse, one: dict[str, Any]) -> list[tuple[Any, ...]]:
    realm = one["realm_id"] if isinstance(one["realm_id"], str) else None
    prepare(lake)
    asked = {"types": list(_TYPES), "realm": realm, "strategy": one["strategy_id"], "version": one["strategy_version"]}
    return lake.sql(_SHAPES, **asked).fetchall()


def fails(*_: object) -> Any:
    raise OSError("a disk that fails")


@pytest.mark.parametrize("by", ["arrow", "duckdb"])
def test_shapes_and_values_are_those_that_sql_tells(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(traced_runs, "by_arrow" if by == "duckdb" else "by_duckdb", fails)
    seen = 0
    for one in versions(warehouse):
        found, expected = told(warehouse, one), by_sql(warehouse, one)
        groups: dict[str, set[str]] = defaultdict(set)
        for shape, run, *_ in expected:
            groups[shape].add(run)
        assert sorted(v.logged_count for v in found.variants) == sorted(map(len, groups.values()))
        kept = pa.concat_tables(found.kept).to_pylist() if found.kept else []
        values = {row["execution_id"]: row["entry_values"] for row in kept}
        assert values == {
            run: of
            for _, run, status, points, of in expected
            if status == "ok" and points is not None and math.isfinite(points)
        }
        shapes = {row["execution_id"]: row["variant"] for row in kept}
        for runs in groups.values():
            assert len({shapes[run] for run in runs if run in shapes}) <= 1
        seen += len(values)
    assert seen > 400


def traces(*of: list[tuple[str | None, ...]]) -> SomeTraces:
    """Some, of entries (node id, type, branch, value)."""
    entries = [entry for trace in of for entry in trace]
    columns = {name: pa.array([entry[at] for entry in entries], pa.string()) for at, name in enumerate(COLUMNS)}
    return SomeTraces(np.arange(len(of)), columns, np.array([len(trace) for trace in of], dtype=np.int64))


def test_a_value_is_a_turn_where_python_sees_it_as_true() -> None:
    texts = ["0", "-0.0", "0e5", "1e-400", "0." + "0" * 400 + "1", '""', "[]", "{}", "null", "false", None]
    texts += ["1", "-1", "0.5", "1e-300", '"0"', "[0]", "true", "1e5", "NaN"]
    shapes = TraceShapes(()).of(traces(*([("n", "compare", None, text)] for text in texts))).shapes

    def is_true(text: str | None) -> bool:
        return bool(json.loads(text)) if text is not None else False

    of = {is_true(text): {int(shape) for other, shape in zip(texts, shapes, strict=True) if is_true(other) == is_true(text)}
          for text in texts}  # fmt: skip
    assert {turn: len(found) for turn, found in of.items()} == {True: 1, False: 1}
    assert of[True] != of[False]


def test_traces_that_differ_in_anything_but_a_value_have_other_shapes() -> None:
    entry = ("n", "compare", "then", "1")
    others = [
        [entry], [entry, entry], [], [(None, *entry[1:])], [("m", *entry[1:])], [("n", "not", "then", "1")],
        [("n", "compare", None, "1")], [("n", "compare", "else", "1")], [("n", "literal", "then", "1")],
        [("n", "literal", "then", "2")], [("n", "literal", "then", None)], [("", *entry[1:])],
        [entry, ("m", *entry[1:])], [("m", *entry[1:]), entry],
    ]  # fmt: skip
    shapes = TraceShapes(()).of(traces(*others)).shapes
    assert len(set(shapes.tolist())) == len(others)

    same = TraceShapes(()).of(traces([entry], [(*entry[:3], "7")])).shapes
    assert same[0] == same[1]
