"""The ways of the exploration benchmark: ours and plain DuckDB, each a fresh Python from its first import to a table's HTML."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import duckdb

Work = Callable[[], dict[str, Any]]

_OPEN = """
import sys, analytics
lake = analytics.open_lake(sys.argv[1])
print(len(lake._repr_mimebundle_()["text/html"]))
"""
_SHOW = """
from analytics.reports.explore import results
print(len(results.shown(lake.sql("{}")).html))
"""
_RUN = """
print(len(lake.run("strategy_summary", since=sys.argv[2], until=sys.argv[3])._repr_html_()))
"""
_PLAIN = """
import sys, duckdb
connection = duckdb.connect()
files = connection.read_parquet(sys.argv[1] + "/executions/*/*/*.parquet", hive_partitioning=True)
print(len(connection.sql("{}")._repr_mimebundle_()["text/html"]))
"""
_DAYS = (
    "select realm_id, day, strategy_id, strategy_version, count(*) as logged_count, count(*) filter (where status <> 'ok') "
    "as failed_count, sum(sample_weight) as est_runs, sum(sample_weight * points) as points_sum, max(created_at) as last_at "
    "from files group by all"
)
_WEEK = (
    "select realm_id, strategy_id, strategy_version, count(*), avg(points), quantile_cont(duration_ms, [0.5, 0.95, 0.99]), "
    "quantile_cont(nodes_executed, [0.5, 0.99]) from files "
    "where day >= '\" + sys.argv[2] + \"' and day < '\" + sys.argv[3] + \"' group by all"
)


def _program(text: str) -> Callable[[dict[str, Any]], Work]:
    def prepare(task: dict[str, Any]) -> Work:
        words = [sys.executable, "-c", text, task["lake"], task["since"], task["until"]]

        def work() -> dict[str, Any]:
            done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
            if done.returncode:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
            return {"letters": int(done.stdout.split()[-1])}

        return work

    return prepare


card = _program(_OPEN)
days = _program(_OPEN + _SHOW.format("from strategy_days"))
rows = _program(_OPEN + _SHOW.format("from executions limit 10"))
summary = _program(_OPEN + _RUN)
plain_days = _program(_PLAIN.format(_DAYS))
plain_rows = _program(_PLAIN.format("from files limit 10"))
plain_summary = _program(_PLAIN.format(_WEEK))


def agree(lake: str) -> list[str]:
    """What ``strategy_days`` says that the files do not."""
    from analytics import api

    asked = "select count(*), sum(logged_count), sum(failed_count), sum(trace_entries) from strategy_days"
    [ours] = api.open_lake(lake).sql(asked).fetchall()
    with duckdb.connect() as connection:
        [plain] = connection.execute(
            """select count(*), sum(n), sum(failed), sum(entries)
                 from (select count(*) as n, count(*) filter (where status <> 'ok') as failed, sum(len(trace)) as entries
                         from read_parquet($1, hive_partitioning = true)
                        group by realm_id, day, strategy_id, strategy_version)""",
            [f"{lake}/executions/*/*/*.parquet"],
        ).fetchall()
    return [] if ours == plain else [f"strategy_days says {ours}, the files {plain}"]
