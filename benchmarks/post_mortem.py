"""The post-mortem of a strategy with a million logged runs: how long does the page take, and which step takes it?

    python -m benchmarks.post_mortem [--rows 1000000] [--repeat 3] [--quick] [--markdown docs/benchmarks-post-mortem.md]

Two versions of one program, 14 days, some 25 entries a trace; the week in question and the week before it. Beside the report
run a plain aggregate per node over every entry of the same lake, and what a notebook does today, on a part of the runs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import events, post_mortem_events, post_mortem_lake, post_mortem_ways, report, server
from benchmarks.extract import parse
from benchmarks.measure import Run, Session, median, ratio, spread
from benchmarks.post_mortem_lake import FAMILY, REALM, Shape
from benchmarks.report import Section, number

WAYS = {
    "post_mortem:command": "**`report post_mortem`, shell to page**",
    "post_mortem:sections": "the same, every cell of the notebook, in one process",
    "post_mortem:per_node": "one DuckDB `group by` over all entries",
    "post_mortem:json_normalize": "`json.loads`, `json_normalize`, `groupby`",
}
COMMAND, SECTIONS, PER_NODE, JSON_NORMALIZE = WAYS
ONE_IN = 50
"""Part of the runs that pandas parses; of all it would need more memory than the machine has."""


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when the report does not find what was planted."""
    options = parse(words, __doc__ or "", large=1_000_000)
    return run(Shape(options.rows), options)


def run(shape: Shape, options: argparse.Namespace, one_in: int = ONE_IN) -> int:
    """All of it; no server takes part."""
    cache: Path = options.cache
    report.progress("lake …")
    lake = post_mortem_lake.prepare(cache, shape)
    about = {"code": server.code_hash(), "lake": shape.name, "repeat": options.repeat}
    session = Session(cache / "results" / "post_mortem.json", about, cache / "scratch", fresh=options.fresh)
    task = {
        "lake": str(lake.resolve()),
        "realm": REALM,
        "family": FAMILY,
        "since": str(shape.since),
        "until": str(shape.until),
        "one_in": one_in,
    }
    found = session.interleave(WAYS, task, tag=shape.name, repeat=options.repeat, budget=options.budget, always=WAYS)
    errors = [*report.failures(found, WAYS)] or wrong(found, post_mortem_ways.entries_in_files(task["lake"]))
    if errors:
        for error in errors:
            report.progress(error)
        return 1
    sections = [_costs(found), _steps(found[SECTIONS], median(found[COMMAND]) or 0.0)]
    title = "The post-mortem of a million logged runs"
    report.publish(title, sections, server=None, path=options.markdown, resumed=session.resumed)
    session.finish()
    return 0


def wrong(found: dict[str, list[Run]], entries: int) -> list[str]:
    """What a run said that is not so: the version and the case that were planted, and every entry counted.

    Args:
        found: By way.
        entries: In the lake's files.
    """
    said = []
    for one in found[SECTIONS]:
        told = (one.facts["kind"], one.facts["after"], one.facts["changed"])
        if told != ("version", post_mortem_lake.VERSIONS[3].strategy_id, ["Performance"]):
            said.append(f"the report blames {told}")
    said += [
        "the command's verdict is another one"
        for one in found[COMMAND]
        if one.facts["verdict"] != found[SECTIONS][0].facts["verdict"]
    ]
    said += [f"the aggregate saw {n:,} entries" for one in found[PER_NODE] if (n := one.facts["entries"]) != entries]
    return said


def _costs(found: dict[str, list[Run]]) -> Section:
    cells = []
    share = found[JSON_NORMALIZE][0].facts["of_rows"]
    for way, runs in found.items():
        name = WAYS[way] + (f", {100 * share:.1f} % of the runs" if way == JSON_NORMALIZE else "")
        cells.append(
            [
                name,
                f"{len(runs)}",
                number(median(runs)),
                number(median(runs, "cpu_seconds")),
                number(ratio(runs, found[PER_NODE])),
                number(max(run.peak_mb for run in runs), 0),
                number(spread(runs)),
            ]
        )
    rows, entries = found[SECTIONS][0].facts["rows"], found[PER_NODE][0].facts["entries"]
    pandas = median(found[JSON_NORMALIZE]) or 0.0
    memory = max(run.facts["grew_mb"] for run in found[JSON_NORMALIZE])
    paid, failed = post_mortem_events.AMOUNT, 100 * post_mortem_lake.FAILED_OF_LOGGED
    return Section(
        f"{rows:,} logged runs, {entries:,} trace entries",
        "Medians of n interleaved runs in processes of their own. Imports come before the clock, but for the command, whose clock "
        "starts in the shell. The peak is that of the process and its children together; those of the command are the shell's "
        "process and the notebook's kernel.",
        ["way", "n", "s", "CPU s", "time / group by", "peak MB", "max / min"],
        cells,
        [
            f"{events.USERS:,} users, {failed:.0f} % failures among the logged rows; version 3 pays {paid[3]} instead of "
            f"{paid[2]} for one case. Verdict: “{found[SECTIONS][0].facts['verdict']}”",
            f"All runs would take pandas about {pandas / share:,.0f} s by proportion, with its texts in memory already, and "
            f"{memory / share / 1000:,.0f} GB more than it began with. Neither peer answers more than “entries and mean per node”.",
            f"The traces are those of {Shape(1).played:,} events per version that the evaluator has played; each row draws one.",
        ],
    )


def _steps(runs: list[Run], command: float) -> Section:
    cells, whole = report.steps(runs)
    return Section(
        "Share of time per step",
        "In one process, in the order in which they end. `report.x` is a fact that several sections share, worked out when the "
        "first of them asks; its seconds are not in that section's. The memory is the largest the process had held by then.",
        ["step", "s", "share", "peak MB so far"],
        cells,
        [
            f"Together {whole:.2f} s. The command takes {command:.2f} s: the rest is Python, imports, looking the strategy up once "
            "before a kernel starts, the kernel, and the page."
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
