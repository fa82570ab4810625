"""The per-node aggregate over the lake against JSON text and other engines.

    python -m benchmarks.flatten [--rows 1500000] [--repeat 3] [--quick] [--markdown docs/benchmarks-flatten.md]

One question, asked in every way, in processes of their own, repeats interleaved. Every answer is compared group by group with
PostgreSQL's before a time is shown; a way that answers something else is shown as such. All ways run on a table of a tenth of
the rows, and on the whole one those that do not take too long or too much memory there: nothing is extrapolated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import psycopg

from benchmarks import data, report, server
from benchmarks.answers import differing_groups
from benchmarks.data import Shape, Table
from benchmarks.extract import parse, server_version
from benchmarks.measure import Run, Session, expect, median, ratio, spread
from benchmarks.report import Section, number

WAYS = {
    "flatten:nodes": "**view nodes** (lists)",
    "flatten:node_days": "**view node_days** (rollup)",
    "flatten:duckdb_text": "DuckDB, JSON text, unnest(from_json(…))",
    "flatten:polars_lists": "Polars, our lists",
    "flatten:polars_text": "Polars, JSON text",
    "flatten:postgres": "PostgreSQL, jsonb_array_elements",
    "flatten:spark_lists": "PySpark local[2], our lists, warm",
    "flatten:spark_text": "PySpark local[2], JSON text, warm",
    "flatten:pandas_json_normalize": "pandas, json_normalize",
}
LISTS, ROLLUP, TEXT, ORACLE = "flatten:nodes", "flatten:node_days", "flatten:duckdb_text", "flatten:postgres"
STREAMING = {LISTS, ROLLUP, TEXT, ORACLE}
"""Their memory does not grow with the rows, only with the groups."""


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when one of our answers is not PostgreSQL's."""
    options = parse(words, __doc__ or "")
    with server.running(options.cache) as url:
        return run(url, Shape(options.rows), options)


def run(url: str, shape: Shape, options: argparse.Namespace, ways: list[str] | None = None) -> int:
    """All of it, on a server that is there."""
    ways = ways or list(WAYS)
    report.progress("tables, lakes, JSON text …")
    large, small = data.prepare(url, shape), data.prepare(url, data.small(shape))
    cache: Path = options.cache
    about = {
        "code": server.code_hash(),
        "large": large.name,
        "small": small.name,
        "repeat": options.repeat,
        "ways": ways,
    }
    session = Session(cache / "results" / "flatten.json", about, cache / "scratch", fresh=options.fresh)
    sections: list[Section] = []
    wrong: list[str] = []
    refused: dict[str, str] = {}
    for tag, table in (("small", small), ("large", large)):
        answers = cache / "answers" / tag
        answers.mkdir(parents=True, exist_ok=True)
        found = session.interleave(
            [way for way in ways if way not in refused],
            _task(table, cache) | {"answers": str(answers), "again": True},
            tag=tag,
            repeat=options.repeat,
            budget=options.budget,
            always=STREAMING - {ORACLE},
        )
        differences = compare(found, answers)
        wrong += [f"{WAYS[way]}: {count:,} groups differ" for way, count in differences.items() if count]
        shown = {way: found[way] if way in found else [Run(error=refused[way])] for way in ways}
        sections.append(_section(table, shown, differences))
        factor = large.rows / small.rows
        expected = {w: expect(runs, factor, options.budget / 2, grows=w not in STREAMING) for w, runs in found.items()}
        refused = {way: why for way, why in expected.items() if why}
    report.publish(
        "Flattening, side by side",
        sections[::-1],
        server=server_version(url),
        path=options.markdown,
        resumed=session.resumed,
    )
    session.finish()
    for complaint in wrong:
        report.progress(complaint)
    return 1 if any(WAYS[way] in complaint for complaint in wrong for way in (LISTS, ROLLUP)) else 0


def compare(found: dict[str, list[Run]], answers: Path) -> dict[str, int]:
    """How many groups of each way's answer are not PostgreSQL's; where that did not run, not DuckDB's over JSON text."""
    worked = [way for way, runs in found.items() if any(not run.error for run in runs)]
    reference = next((way for way in (ORACLE, TEXT) if way in worked), None)
    if reference is None:
        raise SystemExit("neither PostgreSQL nor DuckDB over JSON text ran: there is nothing to compare answers with")
    return {way: differing_groups(_answer(answers, way), _answer(answers, reference)) for way in worked}


def _answer(answers: Path, way: str) -> Path:
    return answers / f"{way.partition(':')[2]}.parquet"


def _task(table: Table, cache: Path) -> dict[str, str]:
    lake = server.kept_lake(cache, table.name, table.url, table.since, table.until)
    text = cache / "text" / f"{table.name}.parquet"
    if not text.exists():
        _write_text(table, text)
    return {
        "url": table.url,
        "since": f"{table.since} 00:00:00+00",
        "until": f"{table.until} 00:00:00+00",
        "lake": str(lake),
        "text": str(text),
    }


def _write_text(table: Table, path: Path) -> None:
    """The same traces as JSON text, as a plain export holds them; row groups small enough to use all cores."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".tmp")
    schema = pa.schema(
        [
            ("realm_id", pa.string()),
            ("strategy_id", pa.string()),
            ("strategy_version", pa.int32()),
            ("trace", pa.string()),
        ]
    )
    group = min(120_000, max(table.rows // 8, 2_000))
    statement = (
        'select "realmId", "strategyId", "strategyVersion", trace::text from strategyexecutionlog '
        "where jsonb_typeof(trace) = 'array'"
    )
    with (
        psycopg.connect(table.url) as connection,
        connection.cursor("text") as cursor,
        pq.ParquetWriter(staged, schema, compression="zstd") as writer,
    ):
        cursor.execute(statement)
        while rows := cursor.fetchmany(group):
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=group)
    staged.replace(path)


def _section(table: Table, found: dict[str, list[Run]], differences: dict[str, int]) -> Section:
    rows = []
    groups = max((one.facts.get("groups", 0) for runs in found.values() for one in runs), default=0)
    for way, runs in found.items():
        worked = [one for one in runs if one.error is None]
        if not worked:
            rows.append([WAYS[way], "0", *"–––––––"])
            continue
        seconds = median(runs) or 0.0
        rows.append(
            [
                WAYS[way],
                f"{len(worked)}",
                number(seconds, 3),
                *(number(ratio(runs, found.get(base, []))) for base in (LISTS, TEXT)),
                number(table.entries / seconds / 1e6, 1),
                number(max(one.peak_mb for one in worked), 0),
                number(spread(runs)),
                f"{differences[way]:,} differ" if differences[way] else "same",
            ]
        )
    return Section(
        f"{table.rows:,} rows, {table.entries:,} trace entries, {groups:,} groups",
        "Per realm, strategy, version, node, type and branch: entries, mean of the numbers, share of true. Medians of n "
        "interleaved runs in processes of their own; work under a second is repeated up to five times in its process. Opening, "
        "connecting and imports come before the clock; Spark has answered the question once before. The last column compares "
        "the answer with PostgreSQL's, group by group.",
        ["way", "n", "s", "/ lists", "/ JSON text", "M entries/s", "peak MB", "max / min", "answer"],
        rows,
        report.failures({way: runs[-1:] for way, runs in found.items()}, WAYS),
    )


if __name__ == "__main__":
    sys.exit(main())
