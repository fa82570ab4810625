"""Many small tenants: 500 realms × 10 days, five rows each; with --full 2,000 × 30.

    python -m benchmarks.tenants [--full] [--repeat 3] [--quick] [--markdown docs/benchmarks-tenants.md]

How long extraction takes and what it holds open, and what readers pay: opening the lake, one tenant's query, a query over all.
The comparison is the same rows in few partitions: eight tenants over the same days. And what the commands cost from the shell,
with one more hour extracted, beside a build before.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks import data, report, server, tenant_commands
from benchmarks.data import Shape, Table
from benchmarks.extract import parse, server_version
from benchmarks.measure import Run, Session, median
from benchmarks.report import Section, number

ROWS_EACH = 5
STEPS = {
    "tenants:extract": "extract into a new lake",
    "tenants:again": "extract again: nothing to do",
    "tenants:open_lake": "open the lake",
    "tenants:open_realm": "open one tenant and count its runs",
    "tenants:realm_query": "one tenant's strategy_days",
    "tenants:whole_aggregate": "runs per tenant, whole lake",
    "tenants:whole_rollup": "sum over node_days, whole lake",
}
TIMEOUT = 1800.0


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    options = parse(words, __doc__ or "")
    realms, days = (2000, 30) if options.full else (100, 5) if options.quick else (500, 10)
    with server.running(options.cache) as url:
        return run(url, realms, days, options)


def run(url: str, realms: int, days: int, options: argparse.Namespace, **shape: int) -> int:
    """All of it, on a server that is there; ``shape`` is what else ``Shape`` takes."""
    rows = realms * days * ROWS_EACH
    report.progress("tables …")
    shapes = [Shape(rows, realms=number, days=days, strategies=3, even=True, **shape) for number in (realms, 8)]
    many, few = (data.prepare(url, one) for one in shapes)
    for table, one in zip((many, few), shapes, strict=True):
        tenant_commands.add_programs(table, one)
    about = {"code": server.code_hash(), "many": many.name, "few": few.name, "repeat": options.repeat}
    cache: Path = options.cache
    session = Session(cache / "results" / "tenants.json", about, cache / "scratch", fresh=options.fresh)
    found = {table.name: _measure(session, table, cache, options.repeat) for table in (many, few)}
    facts = [found[table.name]["tenants:extract"][-1].facts for table in (many, few)]
    section = Section(
        f"{realms:,} tenants × {days} days: {realms * days:,} partitions of {ROWS_EACH} rows",
        f"{many.rows:,} rows, {many.entries:,} trace entries; beside it the same number of rows of 8 tenants. Medians of "
        "interleaved runs in processes of their own (extraction once); imports come before the clock.",
        ["step", f"{realms:,} tenants: s", "peak MB", "8 tenants: s", "peak MB", "ratio"],
        [_row(name, found[many.name][step], found[few.name][step]) for step, name in STEPS.items()],
        [*_notes(facts, realms), *report.failures(found[many.name], STEPS)],
    )
    lake = _lake(many, cache)
    commands, unequal = tenant_commands.section(session, many, shapes[0], lake, cache, options.repeat)
    for error in unequal:
        report.progress(error)
    report.publish(
        "Many small tenants",
        [section, commands],
        server=server_version(url),
        path=options.markdown,
        resumed=session.resumed,
    )
    session.finish()
    shutil.rmtree(cache / "tenants", ignore_errors=True)  # tens of thousands of files
    failed = [run.error for runs in found.values() for step in runs.values() for run in step if run.error]
    wrong = [table.name for table, fact in zip((many, few), facts, strict=True) if fact.get("rows") != table.rows]
    return 1 if failed or wrong or unequal else 0


def _measure(session: Session, table: Table, cache: Path, repeat: int) -> dict[str, list[Run]]:
    """Extraction fills the lake that the other steps read."""
    lake = _lake(table, cache)
    task: dict[str, Any] = {"url": table.url, "since": str(table.since), "until": str(table.until), "lake": str(lake)}
    if not session.has("tenants:extract", table.name) and lake.exists():
        shutil.rmtree(lake)
    first = session.once("tenants:extract", task, tag=table.name, timeout=TIMEOUT)
    if first.error:
        return {step: [first] for step in STEPS}
    task |= {"realm": "tenant-0003", "again": True}
    others = [step for step in STEPS if step != "tenants:extract"]
    return {"tenants:extract": [first]} | session.interleave(others, task, tag=table.name, repeat=repeat, budget=120)


def _lake(table: Table, cache: Path) -> Path:
    return cache / "tenants" / f"{table.name}-{server.code_hash()}"


def _row(name: str, many: list[Run], few: list[Run]) -> list[str]:
    cells = [name]
    for runs in (many, few):
        peaks = [run.peak_mb for run in runs if not run.error]
        cells += [number(median(runs)), number(max(peaks, default=None), 0)]
    first, second = median(many), median(few)
    return [*cells, number(first / second, 1) if first is not None and second else "–"]


def _notes(facts: list[dict[str, Any]], realms: int) -> list[str]:
    notes = []
    for name, fact in zip((f"{realms:,} tenants", "8 tenants"), facts, strict=True):
        if fact:
            notes.append(
                f"{name}: {fact['partitions']:,} partitions, {fact['mb']:,.0f} MB; at most {fact['open_files']} files open at once "
                f"(limit {fact['limit']:,}), {fact['transactions']} transactions on the server in all, those of counting included"
            )
    return notes


if __name__ == "__main__":
    sys.exit(main())
