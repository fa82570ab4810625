"""Extraction against the floor of the server and against what people use.

    python -m benchmarks.extract [--rows 1500000] [--repeat 3] [--quick] [--markdown docs/benchmarks-extract.md]

Every method reads the same rows of the same table in the same run, in a process of its own; repeats are interleaved, and the
tables show medians relative to draining a raw COPY to nowhere. All methods run on a table of a tenth of the rows; those that
would take too long or too much memory on the whole table are not run there, and the table says so.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import psycopg

from benchmarks import costs, data, edges, report, server
from benchmarks.data import Shape, Table
from benchmarks.measure import Run, Session, expect, median, ratio, spread
from benchmarks.report import Section, number

METHODS = {
    "extract:psql_drain": "psql, COPY text to nowhere",
    "extract:psycopg_drain": "psycopg, COPY text to nowhere",
    "extract:ours_jobs_1": "**extract** (lists, rollup, proof)",
    "extract:ours_jobs_2": "**extract --jobs 2**",
    "extract:connectorx": "connectorx → Parquet, JSON text",
    "extract:adbc": "ADBC → Parquet, JSON text",
    "extract:duckdb_postgres": "DuckDB postgres → Parquet, JSON text",
    "extract:dlt_connectorx": "dlt (connectorx) → Parquet, JSON text",
    "extract:dlt_pyarrow": "dlt (pyarrow) → Parquet, JSON text",
    "extract:pandas_read_sql": "pandas.read_sql → Parquet, JSON text",
}
FLOOR, DRAIN = list(METHODS)[:2]
READERS = {
    "edges:ours": "**extract**",
    "edges:pandas_read_sql": "pandas",
    "edges:adbc": "ADBC",
    "edges:connectorx": "connectorx",
    "edges:dlt_connectorx": "dlt",
    "edges:duckdb_postgres": "DuckDB postgres",
}
ALWAYS = {FLOOR, DRAIN, "extract:ours_jobs_1", "extract:ours_jobs_2"}
MATERIALISING = {"extract:pandas_read_sql", "extract:dlt_pyarrow"}
"""They hold the whole result, so what they take grows with it."""


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a method did not deliver the table's rows."""
    options = parse(words, __doc__ or "")
    shape = Shape(options.rows)
    with server.running(options.cache) as url:
        return run(url, shape, options)


def parse(words: list[str] | None, about: str, *, large: int = data.LARGE) -> argparse.Namespace:
    """The options that the benchmarks share; ``large`` is how many rows where nobody says."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--rows", type=int, help=f"of the large table ({large:,}; quick: 200,000)")
    parser.add_argument("--repeat", type=int, help="interleaved repeats (3; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="small tables, one repeat: does everything work?")
    parser.add_argument("--full", action="store_true", help="tenants: 2,000 realms, 30 days")
    parser.add_argument("--fresh", action="store_true", help="do not go on with an interrupted run")
    parser.add_argument("--markdown", type=Path, help="write the tables here")
    parser.add_argument("--cache", type=Path, default=server.CACHE, help=argparse.SUPPRESS)
    parser.add_argument(
        "--budget", type=float, default=80, help="seconds for all repeats of one peer on one table (80)"
    )
    options = parser.parse_args(words)
    options.rows = options.rows or (200_000 if options.quick else large)
    options.repeat = options.repeat or (1 if options.quick else 3)
    return options


def run(url: str, shape: Shape, options: argparse.Namespace, methods: list[str] | None = None) -> int:
    """All of it, on a server that is there."""
    methods = methods or list(METHODS)
    report.progress("tables …")
    large, less, other = data.prepare(url, shape), data.small(shape), replace(shape, distinct=True)
    small, distinct = data.prepare(url, less), data.prepare(url, other)
    about = {
        "code": server.code_hash(),
        "large": large.name,
        "small": small.name,
        "repeat": options.repeat,
        "methods": methods,
    }
    cache = options.cache
    session = Session(cache / "results" / "extract.json", about, cache / "scratch", fresh=options.fresh)
    wanted = {"repeat": options.repeat, "budget": options.budget, "always": ALWAYS}
    on_small = session.interleave(methods, costs.task(small, small.since, small.until), tag="small", **wanted)
    refused = {
        method: why
        for method in methods
        if (why := _hopeless(method, on_small[method], large.rows / small.rows, options))
    }
    on_large = session.interleave(
        [method for method in methods if method not in refused],
        costs.task(large, large.since, large.until),
        tag="large",
        **wanted,
    )
    on_large |= {method: [Run(error=why)] for method, why in refused.items()}
    on_distinct = session.interleave(
        [method for method in methods if method in ALWAYS],
        costs.task(distinct, distinct.since, distinct.until),
        tag="distinct",
        **wanted,
    )
    sections = [
        _speed("The whole table", large, {method: on_large[method] for method in methods}),
        _speed("A tenth of it", small, on_small),
        _speed("The hardest case, no number twice", distinct, on_distinct),
        _memory(on_small, on_large, small, large),
        _edges(session, url, [f"edges:{name.partition(':')[2]}" for name in methods]),
    ]
    report.progress("lakes …")
    lakes = {
        table.name: server.kept_lake(cache, table.name, table.url, table.since, table.until) for table in (small, large)
    }
    pairs = [(small, less, lakes[small.name]), (large, shape, lakes[large.name])]
    sections += [
        costs.nothing_to_do(session, [(table, lake) for table, _, lake in pairs], options.repeat),
        costs.few_new_rows(session, pairs),
        costs.narrow_window(session, large, options.repeat),
    ]
    report.publish(
        "Extraction, side by side", sections, server=server_version(url), path=options.markdown, resumed=session.resumed
    )
    session.finish()
    wrong = _wrong_rows(on_small, small) + _wrong_rows(on_large, large) + _wrong_rows(on_distinct, distinct)
    for complaint in wrong:
        report.progress(complaint)
    return 1 if wrong else 0


def _hopeless(method: str, runs: list[Run], factor: float, options: argparse.Namespace) -> str | None:
    if method.startswith("extract:ours"):
        return runs[0].error
    return expect(runs, factor, options.budget, grows=method in MATERIALISING)


def _speed(title: str, table: Table, found: dict[str, list[Run]]) -> Section:
    rows = []
    floors = [found.get(name, []) for name in (FLOOR, DRAIN)]
    for method, runs in found.items():
        worked = [one for one in runs if one.error is None]
        if not worked:
            rows.append([METHODS[method], "0", *"–––––––"])
            continue
        megabytes = worked[0].facts.get("mb")
        rows.append(
            [
                METHODS[method],
                f"{len(worked)}",
                number(median(runs)),
                *(number(ratio(runs, floor)) for floor in floors),
                number(median(runs, "cpu_seconds")),
                number(max(one.peak_mb for one in worked), 0),
                number(megabytes, 0),
                number(spread(runs)),
            ]
        )
    return Section(
        f"{title}: {table.rows:,} rows, {table.entries:,} trace entries",
        f"{table.megabytes:,.0f} MB in PostgreSQL. Medians of n interleaved runs, each in a process of its own. The clock starts "
        "when the libraries are imported. CPU and memory are the client's (all its processes together), not the server's.",
        ["method", "n", "s", "/ psql drain", "/ psycopg drain", "CPU s", "peak MB", "Parquet MB", "max / min"],
        rows,
        report.failures({m: runs[-1:] for m, runs in found.items()}, METHODS),
    )


def _memory(small: dict[str, list[Run]], large: dict[str, list[Run]], *tables: Table) -> Section:
    rows = []
    for method, name in METHODS.items():
        first, second = (
            max((one.peak_mb for one in runs.get(method, []) if not one.error), default=None) for runs in (small, large)
        )
        growth = number(second / first) if first and second else "–"
        if first is not None:
            rows.append([name, number(first, 0), number(second, 0), growth])
    return Section(
        "Peak memory at two sizes",
        "Largest resident memory of the client's processes together, of all repeats.",
        ["method", *(f"MB at {table.rows:,} rows" for table in tables), "growth"],
        rows,
    )


def _edges(session: Session, url: str, wanted: list[str]) -> Section:
    """What each makes of the odd rows, found by comparing with PostgreSQL's own text."""
    report.progress("odd rows …")
    source = edges.prepare(url)
    truths = edges.truths(source)
    task = {
        "url": source,
        "since": str(edges.SINCE),
        "until": str(edges.UNTIL),
        "edges": [(edge.name, edge.column, edge.row_id) for edge in edges.EDGES],
    }
    readers = [name for name in READERS if name in wanted or name == "edges:ours"]
    found = {name: session.once(name, task, tag="odd rows", timeout=200) for name in readers}
    with psycopg.connect(source) as connection:
        rows = [
            [
                edge.name,
                *(
                    "–"
                    if run.error
                    else edges.judge(connection, edge, truths[edge.name], run.facts["edges"].get(edge.name, {}))
                    for run in found.values()
                ),
            ]
            for edge in edges.EDGES
        ]
    kept = [
        "kept",
        *(
            "–" if run.error else f"{sum(row[n] in ('same', 'nearest double') for row in rows)} of {len(rows)}"
            for n, run in enumerate(found.values(), 1)
        ),
    ]
    return Section(
        "What each makes of odd values",
        "Each value is read as the method comes, with an ordinary row beside it, and compared with PostgreSQL's own text; whether "
        "two JSON texts are the same is PostgreSQL's verdict. *Nearest double*: the engine computes with doubles, so that is what "
        "it had. *Respelled*: the same number, written otherwise. *Refused*: the whole read failed, all of its rows with it.",
        ["value", *(READERS[name] for name in found)],
        [*rows, kept],
        report.failures({name: [run] for name, run in found.items()}, READERS),
    )


def _wrong_rows(found: dict[str, list[Run]], table: Table) -> list[str]:
    return [
        f"{METHODS[method]} delivered {one.facts['rows']:,} of {table.rows:,} rows"
        for method, runs in found.items()
        for one in runs
        if not one.error and one.facts.get("rows", table.rows) != table.rows
    ]


def server_version(url: str) -> str:
    """For the tables' heads."""
    with psycopg.connect(url) as connection:
        [(version, buffers)] = connection.execute(
            "select current_setting('server_version'), current_setting('shared_buffers')"
        )
    return f"PostgreSQL {version} (shared_buffers {buffers})"


if __name__ == "__main__":
    sys.exit(main())
