"""Traces of chosen runs: whoever reads them, Arrow or DuckDB, they are those of the view executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.warehouse import chosen_traces
from analytics.warehouse.chosen_traces import ChosenRuns, ChosenTraces
from analytics.warehouse.warehouse import Warehouse


def chosen_runs(warehouse: Warehouse) -> list[ChosenRuns]:
    """A third of the runs of every program, in no order, those without a trace too."""
    rows = warehouse.sql(
        "select realm_id, strategy_id, list(distinct day) as days, list(execution_id order by hash(execution_id)) as ids "
        "from executions where hash(execution_id) % 3 = 0 and day is not null group by realm_id, strategy_id order by all"
    ).fetchall()
    return [
        ChosenRuns(realm, strategy, frozenset(days), pa.chunked_array([ids])) for realm, strategy, days, ids in rows
    ]


def told(warehouse: Warehouse, runs: ChosenRuns) -> list[Any]:
    """Their traces, as the view has them."""
    found = dict(
        warehouse.sql(
            "select execution_id, trace from executions where strategy_id = $of", of=runs.strategy_id
        ).fetchall()
    )
    return [found[run] for run in runs.ids.to_pylist()]


def never(*_: object) -> None:
    raise AssertionError("DuckDB was asked")


def not_to_be_read(*_: object, **__: object) -> None:
    raise OSError("a disk that fails")


@pytest.mark.parametrize("whole_days", [True, False])
def test_arrow_reads_the_traces_that_the_view_has(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, whole_days: bool
) -> None:
    seen = warehouse if whole_days else Warehouse(warehouse.lake, whole_days=False)
    runs = chosen_runs(seen)
    monkeypatch.setattr(chosen_traces, "_asked", never)

    traces = ChosenTraces(seen, runs)

    assert sum(len(one.ids) for one in runs) > 400
    for one in runs:
        assert traces.of(one).to_pylist() == told(seen, one)


def replaced_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that Arrow opens have other runs than those that DuckDB chose."""
    read = pq.ParquetFile.read_row_group

    def other(self: pq.ParquetFile, *args: Any, **options: Any) -> pa.Table:
        found = read(self, *args, **options)
        return found.set_column(0, "execution_id", pa.array(["another"] * len(found)))

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", other)


def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pq, "ParquetFile", not_to_be_read)


@pytest.mark.parametrize("happens", [replaced_meanwhile, unreadable])
def test_where_arrow_does_not_find_them_duckdb_is_asked(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, happens: Callable[[pytest.MonkeyPatch], None]
) -> None:
    runs = max(chosen_runs(warehouse), key=lambda one: len(one.ids))
    expected = told(warehouse, runs)
    happens(monkeypatch)

    assert ChosenTraces(warehouse, [runs]).of(runs).to_pylist() == expected


def test_no_run_has_no_trace(warehouse: Warehouse) -> None:
    nobody = ChosenRuns(None, "nobody", frozenset(), pa.chunked_array([], pa.string()))

    assert ChosenTraces(warehouse, []).of(nobody).to_pylist() == []
