"""What commands cost on tens of millions of logged runs with their traces: processor time, memory, open files. No server.

    python -m benchmarks.large [--rows 1000000] [--limit-mb 5000] [--cache benchmarks/.cache] [--only STEP]

The lake is that of ``benchmarks.morning``: thirty days, six tenants, some thirty entries a trace. Each step is a command in a
process of its own. One that holds more than the limit is ended and said to have been; so is what it had used by then.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil

from benchmarks import morning_lake
from benchmarks.lakes import FIRST_DAY
from benchmarks.morning_events import CAPPED
from benchmarks.morning_lake import Shape

_EVERY = 0.1
"""Seconds from one look at memory and files to the next."""
REALM = "tenant-01"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command used.

    Attributes:
        wall, cpu: Seconds; the second of the process and all its children.
        peak_mb: Memory of all of them together, shared pages once; a look every tenth of a second.
        open_files: Most at one look.
        ended: Its exit code; ``None`` where it was ended at the limit.
    """

    wall: float
    cpu: float
    peak_mb: float
    open_files: int
    ended: int | None


def steps(lake: Path, out: Path, until: str) -> dict[str, list[str]]:
    """The commands, by what they are called in the table."""
    window = ["--since", str(FIRST_DAY), "--until", until]
    summary = ["query", "--all-realms", "--name", "strategy_summary", *window]
    report = ["--out", str(out), *window]
    words = {
        "status": ["status", "--all-realms"],
        "one tenant's runs": [
            *("query", "--realm", REALM),
            "select strategy_id, count(*), avg(duration_ms), sum(points) from executions group by all",
        ],
        "strategy_summary": summary,
        "runaway report": ["report", "runaway_rules", "--all-realms", *report],
        "post-mortem": ["report", "post_mortem", "--realm", REALM, "--family", CAPPED, *report],
    }
    told = {name: [*command, "--lake", str(lake)] for name, command in words.items()}
    day = str(FIRST_DAY + timedelta(days=1))
    return told | {
        "expire of a day": ["expire", "--before", day, "--yes", "--accept-clock", "--lake", str(out / "linked")]
    }


def measure(words: list[str], limit_mb: float) -> tuple[Cost, str]:
    """Run a command of the package.

    Args:
        words: After its name.
        limit_mb: What it may hold.

    Returns:
        What it used, and the end of what it said on stderr.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(  # noqa: S603  # our own words
            [sys.executable, "-m", "analytics", *words], stdout=subprocess.DEVNULL, stderr=said
        )
        peak, most, is_over = 0.0, 0, False
        while child.poll() is None:
            held, files = _held(child.pid)
            peak, most = max(peak, held), max(most, files)
            if held > limit_mb and not is_over:
                is_over = True
                _end(child.pid)
            time.sleep(_EVERY)
        said.seek(0)
        text = said.read().decode(errors="replace")[-400:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - began, cpu, peak, most, None if is_over else child.returncode), text


def _held(pid: int) -> tuple[float, int]:
    memory, files = 0.0, 0
    for one in _family(pid):
        try:
            memory += one.memory_full_info().pss / 1e6
            files += one.num_fds()
        except psutil.Error:
            continue  # it has just ended
    return memory, files


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _end(pid: int) -> None:
    for one in _family(pid):
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


def main() -> int:
    """Make the lake and measure; 1 when a command failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--limit-mb", type=float, default=5000)
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/.cache"))
    parser.add_argument("--only", action="append", help="a step, not all of them")
    options = parser.parse_args()
    shape, failed = Shape(options.rows), False
    lake = morning_lake.prepare(options.cache, shape)
    print("| step | s | CPU s | peak MB | open files | ended |\n|---|---:|---:|---:|---:|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=lake.parent) as out:
        # What expires is a copy's: no file is ever written in place, so links do.
        shutil.copytree(lake, Path(out, "linked"), copy_function=os.link)
        for name, words in steps(lake, Path(out), str(shape.until)).items():
            if options.only and name not in options.only:
                continue
            cost, said = measure(words, options.limit_mb)
            ended = "at the limit" if cost.ended is None else f"{cost.ended}"
            row = f"{cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak_mb:,.0f} | {cost.open_files} | {ended}"
            print(f"| {name} | {row} |", flush=True)
            if cost.ended != 0:
                failed = True
                print(said, file=sys.stderr, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
