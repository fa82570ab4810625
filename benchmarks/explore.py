"""Exploring ten million logged runs: how long until the first table, from a fresh Python?

    python -m benchmarks.explore [--rows 10000000] [--repeat 3] [--quick] [--markdown docs/benchmarks-explore.md]

The lake of the morning benchmark. Every way is a process of its own, from the start of Python over its imports to the HTML that
a cell would show; beside each table runs the same question in plain DuckDB over the same files.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta

from benchmarks import explore_ways, morning_lake, report, server
from benchmarks.extract import parse
from benchmarks.measure import Session, median, ratio, spread
from benchmarks.morning_lake import Shape
from benchmarks.report import Section, number

AIM_SECONDS = 2.0
WAYS = {
    "explore:card": "**`open_lake()`, and the lake shows itself**",
    "explore:rows": '**… and `lake.sql("from executions limit 10")`**',
    "explore:days": '**… and `lake.sql("from strategy_days")`**',
    "explore:summary": '**… and `lake.run("strategy_summary")` of a week, with intervals**',
    "explore:plain_rows": "DuckDB, `limit 10` of all files",
    "explore:plain_days": "DuckDB, `group by` realm, day, strategy, version",
    "explore:plain_summary": "DuckDB, `group by` with five quantiles, a week",
}
PEERS = {
    "explore:rows": "explore:plain_rows",
    "explore:days": "explore:plain_days",
    "explore:summary": "explore:plain_summary",
}
"""The same question, asked plainly."""


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a table is wrong."""
    options = parse(words, __doc__ or "", large=10_000_000)
    return run(Shape(options.rows), options)


def run(shape: Shape, options: argparse.Namespace) -> int:
    """All of it; no server takes part."""
    report.progress("lake …")
    lake = str(morning_lake.prepare(options.cache, shape).resolve())
    about = {"code": server.code_hash(), "lake": shape.name, "repeat": options.repeat}
    session = Session(options.cache / "results" / "explore.json", about, options.cache / "scratch", fresh=options.fresh)
    until = shape.until
    task = {"lake": lake, "since": str(until - timedelta(days=7)), "until": str(until)}
    found = session.interleave(WAYS, task, tag=shape.name, repeat=options.repeat, budget=options.budget, always=WAYS)
    if errors := [*report.failures(found, WAYS), *explore_ways.agree(lake)]:
        for error in errors:
            report.progress(error)
        return 1
    cells = [
        [
            name,
            f"{len(found[way])}",
            number(median(found[way])),
            number(ratio(found[way], found[PEERS[way]])) if way in PEERS else "–",
            number(max(one.peak_mb for one in found[way]), 0),
            number(spread(found[way])),
        ]
        for way, name in WAYS.items()
    ]
    slowest = max(median(found[way]) or 0.0 for way in ("explore:card", "explore:rows", "explore:days"))
    section = Section(
        f"{shape.rows:,} logged runs, {shape.days} days",
        "Medians of n interleaved runs, each from the start of Python to the HTML of the table, imports and the opening of the "
        "lake with its card included. A kernel's own start is not in them.",
        ["way", "n", "s", "time / DuckDB", "peak MB", "max / min"],
        cells,
        [
            f"The aim is {AIM_SECONDS:g} s to the first table: the slowest of the first three took {slowest:.2f} s.",
            "strategy_days has eight columns more than its peer. Its number of trace entries comes from the rollup node_days; "
            "measured on the lists themselves, as it once was, it takes twenty seconds.",
            "The peer of strategy_summary has no intervals and no weights.",
        ],
    )
    report.publish("Exploring a lake", [section], server=None, path=options.markdown, resumed=session.resumed)
    session.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
