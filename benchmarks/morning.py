"""The morning report on ten million logged runs: how long does the page take, with how much memory, and which step takes it?

    python -m benchmarks.morning [--rows 10000000] [--repeat 3] [--quick] [--markdown docs/benchmarks-morning.md]

Fifty strategies in a hundred versions, thirty days, some 30 entries a trace; the window is all of them. Beside the report run
a plain aggregate per version over the same lake, and what a notebook does today, on a part of the days.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import morning_events, morning_lake, morning_ways, report, server
from benchmarks.extract import parse
from benchmarks.lakes import FIRST_DAY
from benchmarks.measure import Run, Session, median, ratio, spread
from benchmarks.morning_lake import Shape
from benchmarks.report import Section, number

WAYS = {
    "morning:command": "**`report runaway_rules`, shell to page**",
    "morning:sections": "the same, every cell of the notebook, in one process",
    "morning:aggregate": "one DuckDB `group by` over all runs",
    "morning:pandas_groupby": "`pandas.read_parquet`, `groupby`",
}
COMMAND, SECTIONS, AGGREGATE, PANDAS = WAYS
PART_DAYS = 3
"""Days that pandas reads."""
PLANTED = {
    "limit": morning_events.CAPPED,
    "growing": morning_events.GROWING,
    "slow": morning_events.SLOW,
    "stall": None,
}
"""What the report must find, and of which strategy."""


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when the report does not find what was planted."""
    options = parse(words, __doc__ or "", large=10_000_000)
    return run(Shape(options.rows), options)


def run(shape: Shape, options: argparse.Namespace) -> int:
    """All of it; no server takes part."""
    cache: Path = options.cache
    report.progress("lake …")
    lake = morning_lake.prepare(cache, shape)
    about = {"code": server.code_hash(), "lake": shape.name, "repeat": options.repeat}
    session = Session(cache / "results" / "morning.json", about, cache / "scratch", fresh=options.fresh)
    task = {"lake": str(lake.resolve()), "since": str(FIRST_DAY), "until": str(shape.until), "days": PART_DAYS}
    found = session.interleave(WAYS, task, tag=shape.name, repeat=options.repeat, budget=options.budget, always=WAYS)
    files = morning_ways.in_files(task["lake"])
    errors = [*report.failures(found, WAYS)] or wrong(found, files)
    if errors:
        for error in errors:
            report.progress(error)
        return 1
    sections = [_costs(found, files, shape), _steps(found[SECTIONS], median(found[COMMAND]) or 0.0)]
    title = f"The morning report on {round(shape.rows, -6) / 1e6 or shape.rows / 1e6:g} million logged runs"
    report.publish(title, sections, server=None, path=options.markdown, resumed=session.resumed)
    session.finish()
    return 0


def wrong(found: dict[str, list[Run]], files: dict[str, Any]) -> list[str]:
    """What a run said that is not so: every row counted, and the planted stories found and no other.

    Args:
        found: By way.
        files: What is in the lake's files.
    """
    said = []
    for one in [*found[SECTIONS], *found[COMMAND]]:
        told = {what: family for what, family, _, _ in one.facts["found"]}
        if told != PLANTED or len(told) != len(one.facts["found"]):
            said.append(f"the report finds {one.facts['found']}")
        counted = [count for what, _, _, count in one.facts["found"] if what == "limit"]
        if counted != [files["limits"]]:
            said.append(f"the report counts {counted} runs at the cap")
        said += [
            f"the report's league has {one.facts[name]:,} {name}, the files {files[name]:,}"
            for name in ("rows", "versions", "limits")
            if one.facts[name] != files[name]
        ]
    said += [f"the aggregate saw {n:,} rows" for one in found[AGGREGATE] if (n := one.facts["rows"]) != files["rows"]]
    return said


def _costs(found: dict[str, list[Run]], files: dict[str, Any], shape: Shape) -> Section:
    share = found[PANDAS][0].facts["rows"] / files["rows"]
    floor = max(run.peak_mb for run in found[AGGREGATE])
    cells = []
    for way, runs in found.items():
        peak = max(run.peak_mb for run in runs)
        cells.append(
            [
                WAYS[way] + (f", {100 * share:.0f} % of the runs" if way == PANDAS else ""),
                f"{len(runs)}",
                number(median(runs)),
                number(median(runs, "cpu_seconds")),
                number(ratio(runs, found[AGGREGATE])),
                number(peak, 0),
                number(peak / floor),
                number(spread(runs)),
            ]
        )
    pandas, grew = median(found[PANDAS]) or 0.0, max(run.facts["grew_mb"] for run in found[PANDAS])
    return Section(
        f"{files['rows']:,} logged runs, {files['entries']:,} trace entries, {files['versions']} versions, {shape.days} days",
        "Medians of n interleaved runs in processes of their own. Imports come before the clock, but for the command, whose clock "
        "starts in the shell. The peak is that of the process and its children together; those of the command are the shell's "
        "process and the notebook's kernel.",
        ["way", "n", "s", "CPU s", "time / group by", "peak MB", "peak / group by", "max / min"],
        cells,
        [
            f"{files['limits']:,} runs were stopped by a lowered cap within forty minutes. Verdict: "
            f"“{found[SECTIONS][0].facts['verdict']}”",
            f"The aim is a minute and 2 GiB (2,147 MB), shell and kernel together: it took {median(found[COMMAND]) or 0:.0f} s and "
            f"{max(run.peak_mb for run in found[COMMAND]):,.0f} MB.",
            f"The page has {max(run.facts['page_kb'] for run in found[COMMAND]):,.0f} kB.",
            f"All runs would take pandas about {pandas / share:,.0f} s by proportion, and {grew / share / 1000:,.1f} GB more than "
            "it began with. Neither peer answers more than count, mean and p99 of the logged rows.",
            f"The traces are those of {Shape(1).played:,} events per version that the evaluator has played; each row draws one.",
        ],
    )


def _steps(runs: list[Run], command: float) -> Section:
    cells, whole = report.steps(runs)
    return Section(
        "Share of time per step",
        "In one process, in the order in which they end for the first time. `lake.run(x)` is a named query, all its calls; "
        "`report.x` is a fact that several sections share. Their seconds are not in those of the steps around them. The memory "
        "is the largest the process had held by then.",
        ["step", "s", "share", "peak MB so far"],
        cells,
        [
            f"Together {whole:.2f} s. The command takes {command:.2f} s: the rest is Python, imports, opening the lake once before "
            "a kernel starts, the kernel, and the page."
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
