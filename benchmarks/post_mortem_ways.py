"""The ways of the post-mortem benchmark: our report, and what people do today; each prepares and returns the work."""

from __future__ import annotations

import ast
import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from analytics.extraction.encode import trace_json
from analytics.reports.render import plan as plans
from benchmarks import child

Work = Callable[[], dict[str, Any]]

PER_NODE = "select node_id, type, branch, count(*) as n, avg(value_number) as mean from nodes group by all"


def sections(task: dict[str, Any]) -> Work:
    """The report's cells in this process, each with its seconds; facts that several cells share have steps of their own."""
    import pandas  # noqa: F401  # imports come before the clock
    import scipy.special  # noqa: F401

    from analytics import api
    from analytics.findings.post_mortem.post_mortem import Investigation
    from analytics.reports import page
    from analytics.reports.post_mortem.report import PostMortem

    def work() -> dict[str, Any]:
        clock = Clock()
        with clock.watching(Investigation), clock.watching(PostMortem):
            with clock.step("analytics.post_mortem(…)"):
                asked = {name: task[name] for name in ("realm", "family", "since", "until")}
                report = api.post_mortem(task["lake"], **asked)
            for name in cells():
                with clock.step(f"report.{name}()"):
                    shown = getattr(report, name)()
                    if isinstance(shown, page.Block):
                        shown._repr_mimebundle_()
        told = report.summary()
        after = told["after"] or {}
        return {
            "steps": clock.told(),
            "verdict": told["verdict"],
            "kind": told["kind"],
            "after": after.get("strategy_id"),
            "rows": len(report.inquiry.runs),
            "changed": [case["case_name"] for case in told["cases"] if case["amount_changed"]],
        }

    return work


def command(task: dict[str, Any]) -> Work:
    """``strategy-analytics report post_mortem``, from the shell to the page: Python, kernel, notebook, HTML."""
    names = ("lake", "realm", "family", "since", "until")
    options = [word for name in names for word in (f"--{name}", task[name])]
    words = [sys.executable, "-m", "analytics", "report", "post_mortem", *options, "--out", task["folder"]]

    def work() -> dict[str, Any]:
        summary, page_kb = rendered(words)
        return {"verdict": summary["verdict"], "page_kb": page_kb}

    return work


def rendered(words: list[str]) -> tuple[dict[str, Any], float]:
    """The summary and the kB of the page that a command makes.

    Raises:
        RuntimeError: It made none; what it said.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"exit {done.returncode}")
    html = Path(done.stdout.strip().splitlines()[-1])
    return json.loads(html.with_name("summary.json").read_text(encoding="utf-8")), html.stat().st_size / 1e3


def per_node(task: dict[str, Any]) -> Work:
    """One plain aggregate over every entry of the same lake, in the same DuckDB: a floor for whoever reads the traces."""
    from analytics import api

    lake = api.open_lake(task["lake"])

    def work() -> dict[str, Any]:
        found = lake.sql(PER_NODE).fetchall()
        return {"groups": len(found), "entries": sum(row[3] for row in found)}

    return work


def json_normalize(task: dict[str, Any]) -> Work:
    """The same aggregate as a notebook does it today: ``json.loads`` and ``pandas.json_normalize`` of some of the traces."""
    import pandas as pd

    from analytics import api

    lake = api.open_lake(task["lake"])
    asked = "select trace, trace_irregular from executions where hash(execution_id) % $modulus = 0"
    rows = lake.sql(asked, modulus=task["one_in"]).fetchall()
    all_rows = lake.sql("select count(*) from executions").fetchall()[0][0]
    texts = pd.Series([trace_json.rebuild(*row) for row in rows])

    def work() -> dict[str, Any]:
        before = child.peak_mb()
        traces = texts.map(json.loads)
        flat = pd.json_normalize([{"trace": trace or []} for trace in traces], "trace")
        flat["number"] = flat["value"].where(flat["value"].map(type).isin([int, float])).astype(float)
        keys = [key for key in ("nodeId", "type", "branch") if key in flat]
        grouped = flat.groupby(keys, dropna=False, sort=False).agg(n=("type", "size"), mean=("number", "mean"))
        return {
            "entries": len(flat),
            "groups": len(grouped),
            "of_rows": len(rows) / all_rows,
            "grew_mb": child.peak_mb() - before,
        }

    return work


def cells(report: str = "post_mortem") -> list[str]:
    """Names of the methods that a notebook's cells show, in their order: sections added later are timed too."""
    book = json.loads(plans.notebook_path(report).read_text(encoding="utf-8"))
    found = []
    for cell in book["cells"]:
        source = "".join(cell["source"]) if cell["cell_type"] == "code" else ""
        with contextlib.suppress(SyntaxError):
            match ast.parse(source).body:
                case [ast.Expr(ast.Call(ast.Attribute(ast.Name("report"), str(name)), [], []))]:
                    found.append(name)
    return found


class Clock:
    """Seconds of steps within steps: what an inner one takes is not the outer one's."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._peaks: dict[str, float] = {}
        self._inner = [0.0]

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Of this name."""
        start = time.perf_counter()
        self._inner.append(0.0)
        yield
        whole = time.perf_counter() - start
        self._seconds[name] += whole - self._inner.pop()
        self._inner[-1] += whole
        self._peaks[name] = child.peak_mb()

    @contextlib.contextmanager
    def watching(self, kind: type) -> Iterator[None]:
        """Facts of a report (its cached properties) are steps."""
        facts = {name: value for name, value in vars(kind).items() if isinstance(value, cached_property)}
        plain = {name: fact.func for name, fact in facts.items()}
        for name, fact in facts.items():
            fact.func = self._watched(f"report.{name}", fact.func)
        try:
            yield
        finally:
            for name, fact in facts.items():
                fact.func = plain[name]

    def _watched(self, name: str, work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def watched(report: Any) -> Any:
            with self.step(name):
                return work(report)

        return watched

    def told(self) -> list[tuple[str, float, float]]:
        """Name, seconds, and the process's peak memory when it ended; in order of their ends."""
        return [(name, seconds, self._peaks[name]) for name, seconds in self._seconds.items()]


def entries_in_files(lake: str) -> int:
    """Trace entries in the files, counted without the views."""
    files = sorted(str(path) for path in Path(lake).glob("executions/*/*/*.parquet"))
    asked = "select sum(len(trace)) from read_parquet($1, hive_partitioning = false)"
    with duckdb.connect() as connection:
        return int(connection.execute(asked, [files]).fetchall()[0][0])
