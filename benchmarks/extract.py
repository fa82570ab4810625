"""Extraction against the floor of the server and against pandas.

    python -m benchmarks.extract [--runs 2000000] [--days 28] [--repeat 3]

Every method reads the same rows of the same table in the same run; repeats are interleaved, and the table shows medians
relative to draining a raw COPY to nowhere.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from analytics import api, demo

UNTIL = date(2026, 7, 11)


def drain(url: str, since: date, until: date, folder: Path) -> None:
    """COPY … TO STDOUT as text, thrown away: what the server alone costs."""
    import psycopg

    query = "copy (select * from strategyexecutionlog where created_at >= %s and created_at < %s) to stdout"  # the peer's floor
    with psycopg.connect(url) as connection, connection.cursor().copy(query, (since, until)) as copy:
        for _ in copy:
            pass


def ours(url: str, since: date, until: date, folder: Path) -> None:
    """``extract`` into a new lake: lists, rollup, verification, ledger and all."""
    api.extract(since, until, lake=folder / "lake", database_url=url, sample_rate=0.05)


def pandas_read_sql(url: str, since: date, until: date, folder: Path) -> None:
    """``pandas.read_sql`` and one Parquet file: no flattening, traces as JSON text."""
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))
    query = sqlalchemy.text("select * from strategyexecutionlog where created_at >= :since and created_at < :until")
    with engine.connect() as connection:
        frame = pd.read_sql(query, connection, params={"since": since, "until": until})
    frame["trace"] = frame["trace"].map(json.dumps)
    frame["points"] = frame["points"].astype(float)
    frame["durationMs"] = frame["durationMs"].astype(float)
    frame["id"] = frame["id"].astype(str)
    frame.to_parquet(folder / "pandas.parquet")


METHODS = {"drain": drain, "ours": ours, "pandas": pandas_read_sql}


def main() -> None:
    """Run every method in processes of their own, so that peak memory is theirs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--rate", type=float, default=0.5, help="sampling rate of the simulation: how many rows there are"
    )
    parser.add_argument("--one", nargs=2, metavar=("METHOD", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    since = UNTIL - timedelta(days=options.days)
    if options.one:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            METHODS[options.one[0]](options.one[1], since, UNTIL, Path(folder))
            seconds = time.perf_counter() - start
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        demo.build(
            Path(folder) / "demo", runs=options.runs, days=options.days, until=UNTIL, rate=options.rate
        ) as source,
    ):
        print(f"{source.counts['logged']:,} rows, {source.counts['trace_entries']:,} stored trace entries")
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in METHODS}
        for _ in range(options.repeat):
            for name in METHODS:
                words = [
                    sys.executable,
                    "-m",
                    "benchmarks.extract",
                    "--one",
                    name,
                    source.url,
                    "--days",
                    str(options.days),
                ]
                done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603  # our own words
                seen[name].append(tuple(json.loads(done.stdout.splitlines()[-1])))
    floor = statistics.median(seconds for seconds, _ in seen["drain"])
    print(f"{'method':<10}{'/ raw COPY drain':>18}{'peak MB':>10}")
    for name, results in seen.items():
        ratio = statistics.median(seconds for seconds, _ in results) / floor
        print(f"{name:<10}{ratio:>18.2f}{max(memory for _, memory in results):>10.0f}")


if __name__ == "__main__":
    main()
