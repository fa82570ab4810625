"""The ways of the morning benchmark: our report, a plain aggregate, and what a notebook does today."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import child
from benchmarks.post_mortem_ways import Clock, Work, cells, rendered

AGGREGATE = """
    select realm_id, strategy_id, strategy_version, count(*) as n, avg(duration_ms) as mean,
           quantile_cont(duration_ms, 0.99) as p99, max(nodes_executed) as most
      from executions group by all"""
"""What any tool would ask of the same columns: a floor."""

COLUMNS = ("realm_id", "strategy_id", "strategy_version", "status", "duration_ms", "nodes_executed")


def sections(task: dict[str, Any]) -> Work:
    """The report's cells in this process, each with its seconds; named queries of the lake are steps of their own."""
    import pandas  # noqa: F401  # imports come before the clock
    import scipy.special  # noqa: F401

    from analytics import api
    from analytics.reports import page
    from analytics.reports.runaway.report import RunawayRules

    def work() -> dict[str, Any]:
        clock = Clock()
        with clock.watching(RunawayRules), _queries(clock):
            with clock.step("analytics.runaway_rules(…)"):
                report = api.runaway_rules(task["lake"], since=task["since"], until=task["until"])
            for name in cells("runaway_rules"):
                with clock.step(f"report.{name}()"):
                    shown = getattr(report, name)()
                    if isinstance(shown, page.Block):
                        shown._repr_mimebundle_()
        return {"steps": clock.told(), **_told(report.summary())}

    return work


@contextmanager
def _queries(clock: Clock) -> Iterator[None]:
    from analytics.warehouse.warehouse import Warehouse

    plain = Warehouse.run

    def run(self: Any, name: str, **parameters: Any) -> Any:
        with clock.step(f"lake.run({name})"):
            return plain(self, name, **parameters)

    Warehouse.run = run  # type: ignore[method-assign]
    try:
        yield
    finally:
        Warehouse.run = plain  # type: ignore[method-assign]


def _told(summary: dict[str, Any]) -> dict[str, Any]:
    """Of the report's facts what was planted."""
    return {
        "verdict": summary["verdict"],
        "found": [[one["what"], one["family"], one["version"], one["count"]] for one in summary["findings"]],
        "versions": len(summary["league"]),
        "rows": sum(row["logged_count"] for row in summary["league"]),
        "limits": sum(row["limit_count"] for row in summary["league"]),
    }


def command(task: dict[str, Any]) -> Work:
    """``strategy-analytics report runaway_rules``, from the shell to the page: Python, kernel, notebook, HTML."""
    options = [word for name in ("lake", "since", "until") for word in (f"--{name}", task[name])]
    report = ["report", "runaway_rules", "--all-realms", *options, "--out", task["folder"]]

    def work() -> dict[str, Any]:
        summary, page_kb = rendered([sys.executable, "-m", "analytics", *report])
        return {"page_kb": page_kb, **_told(summary)}

    return work


def aggregate(task: dict[str, Any]) -> Work:
    """One plain aggregate over every logged run of the same lake, in the same DuckDB; no trace is read."""
    from analytics import api

    lake = api.open_lake(task["lake"])

    def work() -> dict[str, Any]:
        found = lake.sql(AGGREGATE).fetchall()
        return {"groups": len(found), "rows": sum(row[3] for row in found)}

    return work


def pandas_groupby(task: dict[str, Any]) -> Work:
    """The same as a notebook does it today: ``pandas.read_parquet`` of some days, the columns it needs, and ``groupby``."""
    import pandas as pd

    everything = executions(task["lake"])
    days = sorted({path.parent.name for path in everything})[: task["days"]]
    files = [path for path in everything if path.parent.name in days]

    def work() -> dict[str, Any]:
        before = child.peak_mb()
        frame = pd.concat([pd.read_parquet(path, columns=list(COLUMNS), partitioning=None) for path in files])
        grouped = frame.groupby(["realm_id", "strategy_id", "strategy_version"], dropna=False)
        found = grouped.agg(n=("status", "size"), mean=("duration_ms", "mean"), most=("nodes_executed", "max"))
        found["p99"] = grouped["duration_ms"].quantile(0.99)
        return {"groups": len(found), "rows": len(frame), "grew_mb": child.peak_mb() - before}

    return work


def executions(lake: str) -> list[Path]:
    """The lake's files of logged runs."""
    return sorted(Path(lake).glob("executions/*/*/*.parquet"))


def in_files(lake: str) -> dict[str, Any]:
    """What is in the files, counted without the views: rows, versions, stops by status, trace entries."""
    asked = """select count(*), count(distinct strategy_id), count(*) filter (where status = 'limit'), sum(len(trace))
                 from read_parquet($1, hive_partitioning = false)"""
    with duckdb.connect() as connection:
        [row] = connection.execute(asked, [[str(path) for path in executions(lake)]]).fetchall()
    return dict(zip(("rows", "versions", "limits", "entries"), row, strict=True))


def counted(found: list[list[Any]]) -> Counter[str]:
    """Findings by what they are."""
    return Counter(one[0] for one in found)
