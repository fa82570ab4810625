"""What happens to a question on a cluster: tables from elsewhere, workers and masters that go down while it is asked."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from analytics.errors import AnalyticsError, ConfigurationError
from analytics.lake.lake import Lake
from analytics.warehouse import spark as lake_spark
from analytics.warehouse.spark import SparkEngine
from analytics.warehouse.warehouse import Warehouse
from tests.cluster.standalone import Cluster, wait
from tests.parity import differences

QUERY = "cost_by_strategy"
TIMES = 3_000
"""Each node of the lake is counted so many times: long enough to be killed in the middle of."""
COUNT = f"select count(*) as some, sum(nodes.seq) as places from nodes, range({TIMES}) as again"


@dataclass(frozen=True, slots=True)
class Trial:
    """One of them.

    Attributes:
        what: Happened.
        ended: What came of it.
        held: The answer was right, or the refusal said why.
        seconds: From the question to its end.
    """

    what: str
    ended: str
    held: bool
    seconds: float


def run(cluster: Cluster, session: Any, lake: Lake) -> Iterator[Trial]:
    """All of them, one after the other; the workers that went down are started again."""
    warehouse = Warehouse(lake)
    mine = session.newSession()
    lake_spark.views(mine, lake)
    yield _timed("a join with a table that Spark has written", lambda: _join(mine, warehouse, cluster.folder))
    yield _timed("a function in Python over the runs, on the workers", lambda: _in_python(mine, warehouse))

    def one() -> None:
        cluster.kill("worker-0")

    yield _timed("a worker is killed in the middle of a query", lambda: _killed(mine, warehouse, one))
    cluster.start_worker(0)

    def both() -> None:
        cluster.kill("worker-0")
        cluster.kill("worker-1")
        time.sleep(5)
        cluster.start_worker(0)
        cluster.start_worker(1)

    yield _timed("both workers are killed, and others come after five seconds", lambda: _killed(mine, warehouse, both))
    yield _timed(
        "the master is killed in the middle of a query",
        lambda: _killed(mine, warehouse, lambda: cluster.kill("master")),
    )
    yield _timed("a report's question, while the master is gone", lambda: _asked(session, warehouse))


def _join(session: Any, warehouse: Warehouse, folder: Path) -> tuple[str, bool]:
    place = str(folder / "plans")
    realms = [realm for realm in warehouse.lake.realms() if realm]
    plans = session.createDataFrame(
        [(realm, f"plan {n % 3}") for n, realm in enumerate(realms)], "realm string, plan string"
    )
    plans.write.partitionBy("plan").parquet(place)
    session.read.parquet(place).createOrReplaceTempView("plans")
    statement = """select plan, count(*) as runs, sum(sample_weight) as estimated from executions
        join plans on realm = realm_id group by plan order by plan"""
    found = session.sql(statement).toArrow()
    found_plans = session.table(
        "plans"
    ).toArrow()  # what was written, as Spark reads it: DuckDB may not open other files
    with duckdb.connect() as connection:
        connection.register("plans", found_plans)
        connection.register(
            "executions", warehouse.sql("select realm_id, sample_weight from executions").to_arrow_table()
        )
        expected = connection.sql(statement).to_arrow_table()
    return _compared(expected, found)


def _in_python(session: Any, warehouse: Warehouse) -> tuple[str, bool]:
    def lengths(batches: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute  # the worker's

        for batch in batches:
            yield pa.record_batch({"letters": pa.compute.utf8_length(batch["strategy_id"]).cast("int64")})

    runs = session.sql("select cast(strategy_id as string) as strategy_id from executions")
    counted = runs.mapInArrow(lengths, "letters long").groupBy("letters").count().orderBy("letters")
    expected = warehouse.connection.sql(
        'select length(strategy_id) as letters, count(*) as "count" from executions group by all order by all'
    ).to_arrow_table()
    return _compared(expected, counted.toArrow())


def _killed(session: Any, warehouse: Warehouse, kill: Callable[[], None]) -> tuple[str, bool]:
    """Kill while tasks run."""
    nodes = warehouse.connection.sql("select count(*) as some, sum(seq) as places from nodes").fetchall()[0]
    answered: list[Any] = []

    def ask() -> None:
        try:
            answered.extend(session.sql(COUNT).collect())
        except lake_spark.refusals_of_spark() as error:
            answered.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    tracker = session.sparkContext.statusTracker()
    asking.start()
    wait(lambda: _is_running(tracker), "no task has begun")
    time.sleep(0.5)
    if answered:
        return "the query was over before anything was killed", False
    kill()
    asking.join(180)
    if not answered:
        session.sparkContext.cancelAllJobs()
        return "no answer in three minutes", False
    if isinstance(answered[0], Exception):
        return f"refused: {lake_spark.said(answered[0])}", True
    is_right = tuple(answered[0]) == tuple(value * TIMES for value in nodes)
    return ("the right answer" if is_right else f"WRONG: {answered[0]}"), is_right


def _is_running(tracker: Any) -> bool:
    stages = [tracker.getStageInfo(one) for one in tracker.getActiveStageIds()]
    return any(stage is not None and stage.numActiveTasks for stage in stages)


def _asked(session: Any, warehouse: Warehouse) -> tuple[str, bool]:
    window = {"since": None, "until": None}
    try:
        found = warehouse.with_engine(SparkEngine(lambda: session)).table(QUERY, **window)
    except AnalyticsError as error:
        return f"refused: {error.message}", True
    return _compared(warehouse.table(QUERY, **window), found)


def _compared(expected: pa.Table, found: pa.Table) -> tuple[str, bool]:
    other = differences(expected, found, is_ordered=True)
    if other or not found.num_rows:
        return f"WRONG: {other[:1] or 'no rows'}", False
    return "the right answer", True


def _timed(what: str, trial: Callable[[], tuple[str, bool]]) -> Trial:
    began = time.monotonic()
    ended, held = trial()
    return Trial(what, ended, held, time.monotonic() - began)


def without_master(master: str) -> Trial:
    """A command whose master does not answer: it says so, after Spark's own minute of trying."""

    def start() -> tuple[str, bool]:
        try:
            with begun(master):
                return "a session without a master", False
        except ConfigurationError as error:
            return f"refused: {error.message}", "master" in error.hint

    return _timed("a command, when the master does not answer", start)


@contextmanager
def begun(master: str) -> Iterator[Any]:
    """The session that a command would have: of Spark's own configuration."""
    words = f"--master {master} --conf spark.ui.enabled=false --conf spark.log.level=OFF --conf spark.sql.shuffle.partitions=4"
    os.environ["PYSPARK_PYTHON"] = sys.executable  # or workers take python3, which may have no pyarrow
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{words} pyspark-shell"
    try:
        session = lake_spark.session()
        try:
            yield session
        finally:
            session.stop()
    finally:
        del os.environ["PYSPARK_SUBMIT_ARGS"], os.environ["PYSPARK_PYTHON"]
