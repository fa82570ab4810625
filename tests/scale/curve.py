"""One report by 1, 2 and 4 workers over 1×, 4× and 16× the data: how long the shares take, and is the report the same?"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from analytics import open_lake
from benchmarks.lakes import FIRST_DAY
from benchmarks.measure import resident_mb, stop
from benchmarks.morning_lake import Shape, prepare
from benchmarks.report import progress

ROWS = (1_000_000, 4_000_000, 16_000_000)
WORKERS = (1, 2, 4)
DAYS = 15
"""The report's window is the last, its history the others."""
EXECUTORS = 2
TIMEOUT = 1800.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What some processes side by side took.

    Attributes:
        seconds: From the first one's start to the last one's end; interpreters and imports are in it.
        peak_mb: The largest resident memory of one of them, its children included.
        output: Of the last one.
    """

    seconds: float
    peak_mb: float
    output: str


def measure(cache: Path, rows: Sequence[int] = ROWS, repeat: int = 3) -> list[dict[str, Any]]:
    """A fact sheet per size; medians of ``repeat`` runs.

    Args:
        cache: Keeps the lakes.
        rows: Logged runs of each.
        repeat: Of everything but Spark, which is asked once.
    """
    return [_of_size(cache, count, repeat) for count in rows]


def _of_size(cache: Path, rows: int, repeat: int) -> dict[str, Any]:
    progress(f"{rows:,} logged runs …")
    shape = Shape(rows, days=DAYS)
    lake, scratch = prepare(cache, shape), cache / "scratch" / "scale"
    since, until = str(FIRST_DAY + timedelta(days=DAYS - 1)), str(shape.until)
    window = ["--lake", str(lake), "--all-realms", "--since", since, "--until", until]
    opened = open_lake(str(lake))
    logged, entries = opened.sql(
        "select sum(logged_count)::bigint, sum(trace_entries)::bigint from strategy_days"
    ).fetchall()[0]
    found: dict[str, Any] = {"logged": logged, "entries": entries, "lake_mb": size_mb(lake), "gather": {}}
    shutil.rmtree(scratch, ignore_errors=True)
    for count in WORKERS:
        into = scratch / f"gathered-{count}"
        shares = [["gather", *window, "--share", f"{n}/{count}", "--into", str(into)] for n in range(1, count + 1)]
        costs = [side_by_side([_command(*words) for words in shares]) for _ in range(repeat)]
        found["gather"][str(count)] = {"seconds": _middle(costs), "peak_mb": max(cost.peak_mb for cost in costs)}
        found["gathered_mb"] = size_mb(into)
    facts = {}
    for name, more in (("alone", []), ("merged", ["--gathered", str(scratch / f"gathered-{WORKERS[-1]}")])):
        out = scratch / f"out-{name}"
        words = _command("report", "runaway_rules", *window, "--out", str(out), *more)
        costs = [side_by_side([words], pinned=False) for _ in range(repeat)]
        found[name] = {"seconds": _middle(costs), "peak_mb": max(cost.peak_mb for cost in costs)}
        [facts[name]] = (path.read_text(encoding="utf-8") for path in out.glob("*/summary.json"))
    found["same"] = facts["alone"] == facts["merged"]
    words = [sys.executable, "-m", "tests.scale.spark", str(lake), since, until, str(EXECUTORS)]
    found["spark"] = json.loads(side_by_side([words], pinned=False).output.splitlines()[-1])
    shutil.rmtree(scratch, ignore_errors=True)
    return found


def side_by_side(commands: Sequence[Sequence[str]], *, pinned: bool = True) -> Cost:
    """Run them all at once, each on one core of its own as long as there are some, or on whichever it likes.

    Raises:
        RuntimeError: One of them failed; what it said.
    """
    cores = sorted(os.sched_getaffinity(0))
    begun, peaks = time.monotonic(), [0.0] * len(commands)
    working = []
    for number, words in enumerate(commands):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # our own words
        if pinned:  # while Python still starts: DuckDB then sees one core, and takes one thread
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(process.pid, {cores[number % len(cores)]})
        working.append(process)
    while any(process.poll() is None for process in working):
        peaks = [max(peak, resident_mb(process.pid)) for peak, process in zip(peaks, working, strict=True)]
        if time.monotonic() - begun > TIMEOUT:
            for process in working:
                stop(process)
            raise RuntimeError(f"stopped after {TIMEOUT:.0f} s: {commands[0]}")
        time.sleep(0.05)
    seconds = time.monotonic() - begun
    said = [process.communicate() for process in working]
    for process, (_, complaint) in zip(working, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"exit {process.returncode}: {complaint[-400:]}")
    return Cost(seconds, max(peaks), said[-1][0])


def size_mb(folder: Path) -> float:
    """Of all files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "analytics", *words]


def _middle(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.seconds for cost in costs)
