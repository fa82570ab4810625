"""The simulated engine's Prometheus counters: what a scrape every half hour would have seen of every run."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_STEP = 1800
_NAME = "dsl_execution_duration_seconds_count"


def write_counters(truth: Path, target: Path) -> Path:
    """Write the counters of a population as text with timestamps, as ``promtool`` exports them.

    Args:
        truth: ``population.parquet``.
        target: A file that ends in ``.gz``.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(truth, columns=["created_at", "realm_id", "strategy_type", "status"]).to_pandas()
    with gzip.open(target, "wt", encoding="utf-8", newline="\n", compresslevel=5) as stream:
        stream.writelines(_lines(table))
    return target


def _lines(table: pd.DataFrame) -> Iterator[str]:
    import numpy as np
    import pandas as pd

    ends = table["created_at"].to_numpy("datetime64[s]").astype(np.int64)
    first = int(ends.min()) // _STEP * _STEP - _STEP
    times = np.arange(first, int(ends.max()) + 2 * _STEP, _STEP)
    yield f"process_start_time_seconds {first - 60} {first * 1000}\n"
    labels = pd.DataFrame(
        {
            # as the engine labels runs without a realm
            "realm": table["realm_id"].fillna("").replace("", "unknown"),
            "strategy_type": table["strategy_type"],
            "status": table["status"],
        }
    )
    for key, rows in labels.groupby(list(labels.columns)).groups.items():
        seen = np.searchsorted(np.sort(ends[rows]), times, side="left")
        quoted = ",".join(f'{name}="{_quoted(str(value))}"' for name, value in zip(labels.columns, key, strict=True))
        yield from (f"{_NAME}{{{quoted}}} {count} {time * 1000}\n" for count, time in zip(seen, times, strict=True))


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
