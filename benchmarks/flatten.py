"""A per-node aggregate over the lake against JSON text, pandas and PostgreSQL.

    python -m benchmarks.flatten [--runs 1000000] [--repeat 3]

The question is always the same: entries per strategy, version, node id and type. Every answer is compared with the rollup's
before a time is shown.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from analytics import api, demo

UNTIL = date(2026, 7, 11)
KEYS = "strategy_id, strategy_version, node_id, type"


def main() -> None:
    """Build a demo, extract it, ask every way, print ratios against the list."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=400_000)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.5)
    options = parser.parse_args()
    since = UNTIL - timedelta(days=options.days)
    with (
        tempfile.TemporaryDirectory() as folder,
        demo.build(
            Path(folder) / "demo", runs=options.runs, days=options.days, until=UNTIL, rate=options.rate
        ) as source,
    ):
        _drop_other_days(source.url, since)
        api.extract(
            since,
            UNTIL + timedelta(days=1),
            lake=Path(folder) / "lake",
            database_url=source.url,
            sample_rate=options.rate,
        )
        lake = api.open_lake(Path(folder) / "lake")
        text = Path(folder) / "text.parquet"
        _write_text(lake, text)
        print(f"{source.counts['logged']:,} rows, {source.counts['trace_entries']:,} stored trace entries")
        ways: dict[str, Callable[[], int]] = {
            "list (view nodes)": lambda: _total(lake, f"select {KEYS}, count(*) as n from nodes group by all"),
            "rollup (view node_days)": lambda: _total(
                lake, f"select {KEYS}, sum(entry_count) as n from node_days group by all"
            ),
            "JSON text, DuckDB": lambda: _total(
                lake,
                "select strategy_id, strategy_version, e.nodeId, e.type, count(*) as n from (select strategy_id, "
                'strategy_version, unnest(from_json(trace, \'[{"nodeId":"VARCHAR","type":"VARCHAR"}]\')) as e '
                f"from read_parquet('{text}')) group by all",
            ),
            "PostgreSQL jsonb_array_elements": lambda: _postgres(source.url),
            "pandas json_normalize": lambda: _pandas(text),
        }
        seen: dict[str, list[float]] = {name: [] for name in ways}
        totals: dict[str, int] = {}
        for _ in range(options.repeat):
            for name, ask in ways.items():
                start = time.perf_counter()
                totals[name] = ask()
                seen[name].append(time.perf_counter() - start)
    if len(set(totals.values())) != 1:
        raise SystemExit(f"the answers differ: {totals}")
    base = statistics.median(seen["list (view nodes)"])
    print(f"{'way':<34}{'/ list':>8}   all answer {totals['list (view nodes)']:,} entries")
    for name, times in seen.items():
        print(f"{name:<34}{statistics.median(times) / base:>8.2f}")


def _write_text(lake: Any, path: Path) -> None:
    """The same traces as JSON text, as a plain export would hold them."""
    lake.connection.execute(
        "copy (select strategy_id, strategy_version, to_json(list_transform(trace, lambda e: "
        "{'nodeId': e.node_id, 'type': e.type, 'value': e.value::json})) as trace from executions where trace is not null) "
        "to $1 (format parquet, compression zstd)",
        [str(path)],
    )


def _total(lake: Any, query: str) -> int:
    return int(lake.connection.execute(f"select sum(n) from ({query})").fetchone()[0])


def _drop_other_days(url: str, since: date) -> None:
    """The simulation plants odd rows far outside its days; PostgreSQL's own count must see what the lake sees."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("delete from strategyexecutionlog where isfinite(created_at) and created_at < %s", [since])


def _postgres(url: str) -> int:
    import psycopg

    with psycopg.connect(url) as connection:
        [(total,)] = connection.execute(
            """select sum(n) from (
                 select "strategyId", "strategyVersion", e->>'nodeId', e->>'type', count(*) as n
                   from strategyexecutionlog, jsonb_array_elements(case when jsonb_typeof(trace) = 'array' then trace end) as e
                  group by 1, 2, 3, 4) as counted"""
        ).fetchall()
    return int(total)


def _pandas(path: Path) -> int:
    import json

    import pandas as pd

    frame = pd.read_parquet(path)
    frame["trace"] = frame["trace"].map(json.loads)
    flat = pd.json_normalize(frame.to_dict("records"), "trace", ["strategy_id", "strategy_version"])
    return int(flat.groupby(["strategy_id", "strategy_version", "nodeId", "type"], dropna=False).size().sum())


if __name__ == "__main__":
    main()
