"""A narrow window does not cost a scan of the whole table when an index helps, and the choice itself costs next to nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from analytics import sql
from analytics.errors import SourceError
from analytics.model import RealmFilter
from analytics.source.source import Source
from analytics.source.table_check import plan_nodes, should_avoid_whole_table
from analytics.window import Window

if TYPE_CHECKING:
    from tests.conftest import Table

ROWS, DAYS = 200_000, 20
FIRST = datetime(2026, 6, 1, tzinfo=UTC)

SEQUENTIAL = {"Node Type": "Seq Scan", "Plan Rows": 100, "Total Cost": 1000.0}
BITMAP = {
    "Node Type": "Bitmap Heap Scan",
    "Plan Rows": 100,
    "Total Cost": 1400.0,
    "Plans": [{"Node Type": "Bitmap Index Scan", "Plan Rows": 100, "Total Cost": 20.0}],
}
LOG = {"pages": 50_000, "row_estimate": 1000, "correlation": 0.99}


def decided(usual: dict[str, Any], other: dict[str, Any], **layout: float) -> bool:
    return should_avoid_whole_table(lambda avoid: other if avoid else usual, lambda: {**LOG, **layout})


def test_the_planner_is_overruled_only_where_it_cannot_know_better() -> None:
    gathered = {"Node Type": "Gather", "Plan Rows": 100, "Total Cost": 1000.0, "Plans": [SEQUENTIAL]}
    assert decided(SEQUENTIAL, BITMAP)
    assert decided(gathered, BITMAP)
    assert not decided(BITMAP, BITMAP)  # it chose the index by itself
    assert not decided(SEQUENTIAL, BITMAP, pages=100)
    assert not decided(SEQUENTIAL, BITMAP, correlation=0.3)  # the rows lie anywhere: its price is right
    assert not decided(SEQUENTIAL, BITMAP, row_estimate=200)  # half of the table
    assert not decided(SEQUENTIAL, {**BITMAP, "Total Cost": 1600.0})
    assert not decided(SEQUENTIAL, {**SEQUENTIAL, "Total Cost": 1e10})  # no index helps
    assert not decided(SEQUENTIAL, BITMAP, pages=0, row_estimate=0, correlation=0)  # a view


@pytest.fixture(scope="module")
def big(database_url: str) -> Iterator[str]:
    """The URL of a database with 200,000 rows in the order of time, with the engine's own indexes."""
    create = resources.files("analytics.demo").joinpath("sql/source_tables.sql").read_text(encoding="utf-8")
    tables, indexes = create.split("create index", 1)
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute("create database scan_plan")
        url = database_url.replace("/postgres?", "/scan_plan?", 1)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(tables.encode())
            connection.execute(
                f"""insert into strategyexecutionlog (id, created_at, "realmId", "strategyId", "strategyVersion",
                          "strategyType", status, "durationMs", "nodesExecuted", sampled, notes)
                    select gen_random_uuid(), timestamptz '{FIRST}' + i * interval '{DAYS} days' / {ROWS}, 'r' || i % 7,
                           's' || i % 5, 1, 'DSL_FULL', 'ok', 1, 0, true, repeat('x', 200)
                      from generate_series(0, {ROWS - 1}) i""".encode()
            )
            connection.execute(("create index" + indexes).encode())
            connection.execute("vacuum analyze strategyexecutionlog")
        yield url
        server.execute("drop database scan_plan with (force)")


def parameters(window: Window) -> dict[str, Any]:
    return {"since": window.since, "until": window.until, "undated": True, **RealmFilter().parameters()}


def kinds(source: Source, window: Window) -> set[str]:
    """The kinds of scan that the next statement would use."""
    [row] = source._query("explain (format json) " + sql.text("source", "scan"), parameters(window))
    return {node["Node Type"] for node in plan_nodes(row["QUERY PLAN"][0]["Plan"])}


def days(first: int, count: int) -> Window:
    return Window(FIRST + timedelta(days=first), FIRST + timedelta(days=first + count))


@pytest.mark.parametrize("brin", [False, True], ids=["the engine's indexes", "BRIN"])
def test_a_narrow_window_is_found_through_an_index_and_a_wide_one_is_not(big: str, brin: bool) -> None:
    with psycopg.connect(big, autocommit=True) as connection:
        if brin:
            connection.execute("create index brin on strategyexecutionlog using brin (created_at)")
        with Source(big) as source:
            for window, whole in ((days(19, 1), False), (days(14, 5), False), (days(0, 20), True)):
                began = time.perf_counter()
                source.choose_scan(parameters(window))
                took = time.perf_counter() - began
                assert ("Seq Scan" in kinds(source, window)) is whole
                assert took < 0.2  # measured: 2 to 20 ms; the machine may be busy
            assert source._query("show enable_seqscan") == [{"enable_seqscan": "on"}]  # the last window was a wide one
        connection.execute("drop index if exists brin")


def test_where_the_planner_would_read_everything_it_is_overruled_and_the_answer_is_the_same(big: str) -> None:
    with Source(big) as source:
        # Short rows in few pages: the planner gives up the index only when such pages are dear. With real rows of a
        # kilobyte it does at the usual price, at a tenth of the table.
        source._connection.execute("set local random_page_cost = 15")
        window = days(13, 6)
        assert "Seq Scan" in kinds(source, window)
        through_table = source.fingerprints(days(0, 20), RealmFilter())
        assert source._query("show enable_seqscan") == [{"enable_seqscan": "on"}]
        through_index = source.fingerprints(window, RealmFilter())
        assert "Seq Scan" not in kinds(source, window)
        wanted = set(window.days)
        assert through_index == {part: found for part, found in through_table.items() if part.day in wanted}


def test_rows_that_lie_anywhere_are_left_to_the_planner(big: str) -> None:
    with psycopg.connect(big, autocommit=True) as connection:
        connection.execute("create schema shuffled")
        connection.execute("create table shuffled.strategyexecutionlog (like strategyexecutionlog)")
        connection.execute(
            "insert into shuffled.strategyexecutionlog select * from strategyexecutionlog order by random()"
        )
        connection.execute("create index on shuffled.strategyexecutionlog (created_at)")
        connection.execute("vacuum analyze shuffled.strategyexecutionlog")
    with Source(big + "&options=-csearch_path%3Dshuffled") as source:
        assert source._rows("layout")[0]["correlation"] < 0.1
        source.choose_scan(parameters(days(13, 6)))
        assert source._query("show enable_seqscan") == [{"enable_seqscan": "on"}]


def test_a_server_that_will_not_explain_is_no_reason_to_fail(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise SourceError("permission denied for view pg_stats")

    table.insert()
    monkeypatch.setattr("analytics.source.source.should_avoid_whole_table", refuse)
    with Source(table.url) as source:
        assert len(source.fingerprints(Window.parse("2026-07-08", "2026-07-09"), RealmFilter())) == 1


def test_the_fingerprint_reads_no_trace(table: Table) -> None:
    from psycopg import sql as composed

    table.insert()
    with Source(table.url) as source:
        statement = composed.SQL(sql.text("source", "fingerprints")).format(change=composed.Identifier("xmin"))
        window = Window.parse("2026-07-08", "2026-07-09")
        [row] = source._query(composed.SQL("explain (verbose, format json) ") + statement, parameters(window))
        # What leaves the scan: the columns that are fetched, and so detoasted where they are large.
        fetched = [node["Output"] for node in plan_nodes(row["QUERY PLAN"][0]["Plan"]) if "Relation Name" in node]
        assert fetched
        assert not [column for columns in fetched for column in columns if "trace" in column or "notes" in column]
        assert "trace" not in sql.text("source", "fingerprints").split("select", 1)[1]
