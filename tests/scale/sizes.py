"""What a lake of some size costs: bytes, seconds and memory of its extraction, entries a second, and requests of a bucket."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analytics import Window, open_lake
from analytics.estimates.sampling_rates import Rates
from analytics.lake.lake import Lake
from benchmarks import data, server
from benchmarks.data import Shape, Table
from benchmarks.report import progress
from tests.extracting import extract
from tests.scale.curve import side_by_side, size_mb
from tests.store import Request, serving_bucket

ROWS = (50_000, 200_000, 800_000)
TENANTS = (4, 16, 64)
"""Of the lakes in a bucket: fourteen days of each, five runs a day."""
_DAYS, _RUNS = 14, 5
_SUMS = "select count(*), sum(points) from executions"
_ASKED = "select count(*), count_if(value_boolean), sum(value_number) filter (where isfinite(value_number)) from nodes"


def measure(
    cache: Path, rows: Sequence[int] = ROWS, tenants: Sequence[int] = TENANTS
) -> dict[str, list[dict[str, Any]]]:
    """Fact sheets of extractions, one per size, and of lakes in a bucket, one per number of tenants."""
    with server.running(cache) as url:
        extractions = [_extraction(data.prepare(url, Shape(count)), cache) for count in rows]
        small = [
            data.prepare(url, Shape(n * _DAYS * _RUNS, realms=n, days=_DAYS, strategies=2, even=True)) for n in tenants
        ]
        with serving_bucket("scale") as store:
            buckets = [_bucket(table, n, store) for n, table in zip(tenants, small, strict=True)]
    return {"extractions": extractions, "buckets": buckets}


def _extraction(table: Table, cache: Path) -> dict[str, Any]:
    progress(f"extraction of {table.rows:,} rows …")
    folder = cache / "scratch" / "scale-lake"
    shutil.rmtree(folder, ignore_errors=True)
    words = ["extract", "--lake", str(folder), "--since", str(table.since), "--until", str(table.until)]
    rate = ["--sample-rate", "0.05", "--database-url", table.url]
    cost = side_by_side([[sys.executable, "-m", "analytics", *words, *rate]], pinned=False)
    lake = open_lake(str(folder))
    begun = time.monotonic()
    [(entries, *_)] = lake.sql(_ASKED).fetchall()
    flattened = time.monotonic() - begun
    files = [path for path in folder.rglob("*") if path.is_file() and "_extract" not in path.parts]
    found = {
        "rows": table.rows,
        "entries": int(entries),
        "source_mb": table.megabytes,
        "lake_mb": size_mb(folder),
        "rollup_mb": size_mb(folder / "node_days"),
        "files": len(files),
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        "flatten_seconds": flattened,
    }
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _bucket(table: Table, tenants: int, store: Any) -> dict[str, Any]:
    """How often the store is asked by an extraction, by one that finds nothing new, by a query and by a tenant's query."""
    progress(f"a bucket of {tenants} tenants …")
    lake, rates = f"s3://scale/{tenants}", Rates((), 0.05)
    window = Window.parse(table.since, table.until)
    steps: dict[str, Callable[[], Any]] = {
        "extract": lambda: extract(table.url, Lake(lake), window, rates=rates),
        "again": lambda: extract(table.url, Lake(lake), window, rates=rates),
        "query": lambda: open_lake(lake).sql(_SUMS).fetchall(),
        "tenant": lambda: open_lake(lake, realm=realm).sql(_SUMS).fetchall(),
    }
    found: dict[str, Any] = {"tenants": tenants, "partitions": tenants * _DAYS, "rows": table.rows}
    realm = None
    for name, ask in steps.items():
        store.begin()
        ask()
        found[name] = _counted(store.requests)
        realm = Lake(lake).realms()[0]
    return found


def _counted(requests: Sequence[Request]) -> dict[str, int]:
    """By kind, as they are paid for; those of the lock apart."""
    kinds = Counter("lock" if ".lock" in one.key else "LIST" if one.is_listing else one.method for one in requests)
    return dict(sorted(kinds.items()))
