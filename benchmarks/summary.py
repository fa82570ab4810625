"""Estimates for every strategy against a plain group by over the same rows: what do intervals cost, and what are they worth?

    python -m benchmarks.summary [--rows 10000000] [--repeat 3] [--quick] [--markdown docs/benchmarks-summary.md]

Ten million logged rows of a month, forty tenants and some four hundred strategies. Both ways answer in processes of their own,
repeats interleaved. They have to agree where logged rows alone decide; the second table says how far the plain one is off where
they do not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import duckdb

from benchmarks import report, server, summary_lake
from benchmarks.extract import parse
from benchmarks.lakes import FIRST_DAY
from benchmarks.measure import Run, Session, median, ratio, spread
from benchmarks.report import Section, number
from benchmarks.summary_lake import Shape

WAYS = {"summary:ours": "**strategy_summary**", "summary:plain": "plain group by over executions"}
OURS, PLAIN = WAYS
MEASURES = {
    "runs": ("est_runs", "p.logged_count"),
    "failure rate": ("est_failure_rate", "p.failed_count / p.logged_count"),
    "points, mean": ("est_points_mean", "p.points_mean"),
    "points, sum": ("est_points_sum", "p.points_sum"),
    "duration p50": ("est_duration_p50_ms", "p.duration[1]"),
    "duration p95": ("est_duration_p95_ms", "p.duration[2]"),
    "duration p99": ("est_duration_p99_ms", "p.duration[3]"),
    "duration p99, ok": ("est_duration_ok_p99_ms", "p.duration_ok_p99"),
    "nodes p50": ("est_nodes_p50", "p.nodes[1]"),
    "nodes p99": ("est_nodes_p99", "p.nodes[2]"),
}
"""Column of ours, expression over the plain answer."""
_BOTH = """
    from read_parquet($1) o full join read_parquet($2) p on o.realm_id is not distinct from p.realm_id
     and o.strategy_id = p.strategy_id and o.strategy_version = p.strategy_version"""


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when the answers do not agree where they must."""
    options = parse(words, __doc__ or "", large=10_000_000)
    return run(Shape(options.rows), options)


def run(shape: Shape, options: argparse.Namespace) -> int:
    """All of it; no server takes part."""
    cache: Path = options.cache
    report.progress("lake …")
    lake = summary_lake.prepare(cache, shape)
    answers = cache / "answers" / "summary"
    answers.mkdir(parents=True, exist_ok=True)
    about = {"code": server.code_hash(), "lake": shape.name, "repeat": options.repeat}
    session = Session(cache / "results" / "summary.json", about, cache / "scratch", fresh=options.fresh)
    task = {
        "lake": str(lake),
        "answers": str(answers),
        "since": f"{FIRST_DAY} 00:00:00+00",
        "until": f"{shape.until} 00:00:00+00",
    }
    found = session.interleave(WAYS, task, tag=shape.name, repeat=options.repeat, budget=options.budget, always=WAYS)
    errors = report.failures(found, WAYS)
    if errors:
        for error in errors:
            report.progress(error)
        return 1
    pair = (answers / "ours.parquet", answers / "plain.parquet")
    sections = [_costs(found, _count(pair, "sum(o.logged_count)"), _count(pair, "count(*)")), _worth(pair)]
    report.publish(
        "Estimates for every strategy", sections, server=None, path=options.markdown, resumed=session.resumed
    )
    session.finish()
    wrong = disagreements(*pair)
    if wrong:
        report.progress(f"{wrong:,} groups disagree where logged rows alone decide")
    return 1 if wrong else 0


def disagreements(ours: Path, plain: Path) -> int:
    """Groups that only one answer has, whose counts differ, or where the p99 of ok runs is not within our interval.

    Rows drawn at one rate have one weight, so the plain quantile of ok runs is right; of two rates it is not asked.
    """
    return _count(
        (ours, plain),
        f"""count(*) filter (
              where o.logged_count is distinct from p.logged_count or o.failed_count is distinct from p.failed_count
                 or (right(o.realm_id, 1) <> '{summary_lake.CHANGED}'
                     and (p.duration_ok_p99 < o.est_duration_ok_p99_ms_low
                          or p.duration_ok_p99 > o.est_duration_ok_p99_ms_high)))""",
    )


def _count(pair: tuple[Path, Path], what: str) -> int:
    with duckdb.connect() as connection:
        found = connection.execute(f"select {what} {_BOTH}", [str(path) for path in pair]).fetchone()
    return int(found[0]) if found else 0


def _costs(found: dict[str, list[Run]], rows: int, groups: int) -> Section:
    cells = []
    for way, runs in found.items():
        peak = max(run.peak_mb for run in runs)
        base = max(run.peak_mb for run in found[PLAIN])
        cells.append(
            [
                WAYS[way],
                f"{len(runs)}",
                number(median(runs)),
                number(median(runs, "cpu_seconds")),
                number(ratio(runs, found[PLAIN])),
                number(peak, 0),
                number(peak / base),
                number(spread(runs)),
            ]
        )
    return Section(
        f"{rows:,} logged rows, {groups:,} strategies",
        "Runs, failures, points, durations and nodes of each strategy and version; ours with intervals and grades. Medians of n "
        "interleaved runs in processes of their own; imports and opening the lake come before the clock. The peak is that of "
        "the process, some 250 MB of which are imports.",
        ["way", "n", "s", "CPU s", "time / plain", "peak MB", "peak / plain", "max / min"],
        cells,
    )


def _worth(pair: tuple[Path, Path]) -> Section:
    rows = []
    with duckdb.connect() as connection:
        for name, (column, plain) in MEASURES.items():
            [(graded, factor, outside, unusable)] = connection.execute(
                f"""select count(*),
                           median(naive / {column}) filter (where isfinite(naive) and {column} <> 0),
                           avg((naive < {column}_low or naive > {column}_high)::int) filter (where isfinite(naive)),
                           avg((naive is null or not isfinite(naive))::int)
                      from (select o.*, ({plain})::double as naive {_BOTH})
                     where {column}_grade <> 'too few' and {column} is not null""",
                [str(path) for path in pair],
            ).fetchall()
            shares = ["–" if share is None else f"{100 * share:.1f} %" for share in (outside, unusable)]
            rows.append([name, f"{graded:,}", number(factor, 3), *shares])
    return Section(
        "What the plain answer is worth",
        "Of the strategies that ours does not grade “too few”: the plain number as a multiple of the estimate (median), how often "
        "it lies outside the 95 % interval, and how often it is no number at all, because a single NaN is among the points. "
        "Ok runs are drawn evenly while the rate stays: means and quantiles of them alone are right in both.",
        ["", "strategies", "plain / ours", "outside", "no number"],
        rows,
        ["counts of logged and of failed rows are the same in both, compared group by group"],
    )


if __name__ == "__main__":
    sys.exit(main())
