"""What a run costs when little is to be done: nothing new, few new rows, one day of a large table."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.data import Shape, Table
from benchmarks.measure import Run, Session
from benchmarks.report import Section, number

OURS, COUNT, DRAIN = "extract:ours_jobs_1", "extract:count_rows", "extract:psql_drain"
NEW_ROWS = (1_000, 4_000, 16_000)


def task(table: Table, since: date, until: date, **more: Any) -> dict[str, Any]:
    """For the extractors."""
    return {"url": table.url, "since": str(since), "until": str(until), **more}


def nothing_to_do(session: Session, tables: list[tuple[Table, Path]], repeat: int) -> Section:
    """A run over all days of a lake that is up to date already."""
    rows = []
    for table, lake in tables:
        found = session.interleave(
            [COUNT, OURS],
            task(table, table.since, table.until, lake=str(lake)),
            tag=f"nothing {table.name}",
            repeat=repeat,
            budget=60,
        )
        drain = session.once(DRAIN, task(table, table.since, table.until), tag=f"nothing {table.name}")
        count, ours = (_first(found[method]) for method in (COUNT, OURS))
        rows.append(
            [
                f"{table.rows:,} rows",
                *(number(run.seconds) for run in (count, ours, drain)),
                number(ours.seconds / count.seconds, 1) if not ours.error else ours.error,
                number(ours.seconds / drain.seconds, 3),
                number(ours.facts.get("rows"), 0),
            ]
        )
    return Section(
        "A run that finds nothing",
        "All days of the table are in the lake already. It costs one aggregate over the window, which reads no trace; the "
        "comparison is the least that any look at the same rows costs, and the whole drain.",
        ["table", "count(*) s", "ours s", "psql drain s", "ours / count(*)", "ours / drain", "rows written"],
        rows,
        [
            "Connecting, looking for the table's columns and comparing with the ledger are in it; starting Python is not."
        ],
    )


def few_new_rows(session: Session, tables: list[tuple[Table, Shape, Path]]) -> Section:
    """New rows on the days after the last one, in lakes of two sizes, with the index the README advises."""
    rows = []
    for table, shape, lake in tables:
        for count in (one for one in NEW_ROWS if one <= shape.rows):
            tag = f"new {count} {table.name}"
            if not session.has(OURS, tag):
                with data.brin_index(table), data.more_rows(table, shape, count) as until:
                    _forget(lake, table.until, until)
                    session.once(OURS, task(table, table.until, until, lake=str(lake)), tag=tag, timeout=300)
                    _forget(lake, table.until, until)
            run = session.once(OURS, {}, tag=tag)
            entries = run.facts.get("entries", 0)
            rows.append(
                [
                    f"{table.rows:,} rows",
                    number(count, 0),
                    number(run.facts.get("rows"), 0),
                    number(entries, 0),
                    run.error or number(run.seconds),
                    number(1000 * run.seconds / count, 3),
                    number(run.peak_mb, 0),
                ]
            )
    return Section(
        "A run that finds few new rows",
        "Rows are added after the last day and extracted into the lake that holds the others; single runs. The cost follows the "
        "new rows, not the table: compare the same number of them in both tables.",
        ["table and lake", "added", "written", "entries", "seconds", "ms per row", "peak MB"],
        rows,
    )


def narrow_window(session: Session, table: Table, repeat: int) -> Section:
    """One day of the table, with and without an index that leads with created_at."""
    day = table.since + (table.until - table.since) // 2
    asked = task(table, day, day + timedelta(days=1))
    kinds = [DRAIN, OURS]
    plain = session.interleave(kinds, asked, tag=f"day plain {table.name}", repeat=repeat, budget=60)
    with data.brin_index(table):
        indexed = session.interleave(kinds, asked, tag=f"day brin {table.name}", repeat=repeat, budget=60)
    rows = []
    for name, method in (("psql drain", DRAIN), ("ours", OURS)):
        before, after = _first(plain[method]), _first(indexed[method])
        rows.append(
            [
                name,
                number(before.seconds),
                number(after.seconds),
                number(after.seconds / before.seconds)
                if not (before.error or after.error)
                else before.error or after.error or "–",
            ]
        )
    return Section(
        f"One day of {(table.until - table.since).days}, with and without an index",
        "`create index … using brin (created_at)`, as the README and `doctor` advise. Nothing in the command changes: the "
        "server's planner decides.",
        ["one day", "no index s", "BRIN s", "ratio"],
        rows,
    )


def _first(runs: list[Run]) -> Run:
    """The median run, or the one that failed."""
    worked = sorted((run for run in runs if not run.error), key=lambda run: run.seconds)
    return worked[len(worked) // 2] if worked else Run(seconds=float("nan"), error=runs[0].error)


def _forget(lake: Path, since: date, until: date) -> None:
    """Take days out of the lake again, ledger and all."""
    for offset in range((until - since).days):
        day = f"day={since + timedelta(days=offset)}"
        for folder in lake.glob(f"*/realm=*/{day}"):
            shutil.rmtree(folder)
        (lake / "ledger" / f"{day}.json").unlink(missing_ok=True)
