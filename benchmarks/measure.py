"""One method in a process of its own: wall clock, processor time, peak memory; several of them, interleaved and resumable."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

SAMPLE_SECONDS = 0.1
SHORTEST_TIMEOUT = 300.0
MEMORY_MB = 0.75 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6
"""A method that takes more is stopped, before the kernel stops something else."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one method.

    Attributes:
        seconds: Wall clock of the work itself; the interpreter's start and imports come before.
        cpu_seconds: Processor time of the process and its children during the work; the server's is not in it.
        peak_mb: Largest resident memory of the process and its children together, over its whole life.
        facts: What the method tells of its result, compared between methods.
        error: Why it did not run, or failed; then the numbers mean nothing.
        whole_seconds: From start to end of the process: what the run cost whoever waits for the benchmark.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    whole_seconds: float = 0.0


def run(method: str, task: Mapping[str, Any], *, timeout: float, scratch: Path) -> Run:
    """Run ``benchmarks.child`` for a method.

    Args:
        method: ``group:name``, as ``benchmarks.child`` finds it.
        task: What it is to do, as JSON values; ``folder`` is added, an empty one that is removed afterwards.
        timeout: Seconds after which it is stopped.
        scratch: Where that folder is made.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="run-") as folder, tempfile.TemporaryFile("w+") as said:
        words = [sys.executable, "-m", "benchmarks.child", method, json.dumps({**task, "folder": folder})]
        here = Path(__file__).parent.parent
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, text=True, cwd=here)  # noqa: S603  # our own words
        peak = _watch(process, timeout)
        output = process.stdout.read() if process.stdout else ""
        if process.stdout:
            process.stdout.close()
        said.seek(0)
        complaint = said.read()
    if isinstance(peak, str):
        return Run(error=peak)
    try:
        answer = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        last = (complaint.strip().splitlines() or ["no word"])[-1]
        return Run(error=f"exit {process.returncode}: {last[:200]}")
    if answer.get("error"):
        return Run(error=answer["error"])
    return Run(answer["seconds"], answer["cpu_seconds"], max(peak, answer["peak_mb"]), answer["facts"])


def _watch(process: subprocess.Popen[str], timeout: float) -> float | str:
    """Peak of the resident memory of the process and its children, in MB, sampled; or why it had to be stopped."""
    deadline = time.monotonic() + timeout
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, resident_mb(process.pid))
        if time.monotonic() > deadline or peak > MEMORY_MB:
            stop(process)
            return f"stopped at {peak / 1000:.0f} GB" if peak > MEMORY_MB else f"stopped after {timeout:.0f} s"
        time.sleep(SAMPLE_SECONDS)
    return peak


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, now."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for one in [parent, *parent.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.Error:  # ended while we looked
        pass
    return total / 1e6


def stop(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        family = []
    process.kill()
    process.wait()
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()


class Session:
    """Measurements of one benchmark, written down one by one, so that a run that was interrupted goes on.

    Args:
        path: Where they are kept.
        about: What they were measured with; kept ones of anything else are thrown away.
        scratch: Folder for what the methods write.
        fresh: Throw away in any case.
    """

    def __init__(self, path: Path, about: Mapping[str, Any], scratch: Path, *, fresh: bool = False) -> None:
        self.path, self.scratch = path, scratch
        self.about = json.loads(json.dumps(about))
        self._runs: dict[str, list[Run]] = {}
        self.resumed = False
        if not fresh and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["about"] == self.about and not kept["finished"]:
                self._runs = {key: [Run(**one) for one in runs] for key, runs in kept["runs"].items()}
                self.resumed = bool(self._runs)

    def interleave(
        self,
        methods: Iterable[str],
        task: Mapping[str, Any],
        *,
        tag: str,
        repeat: int,
        budget: float,
        tell: bool = True,
        always: Collection[str] = (),
    ) -> dict[str, list[Run]]:
        """Every method once, then every method again, ``repeat`` times.

        Args:
            methods: As ``run`` wants them.
            task: The same for all.
            tag: Tells apart measurements of the same method on other data.
            repeat: How often.
            budget: Seconds for one method in all: a slow one is not repeated beyond them.
            always: Methods that are repeated in any case.
            tell: A line to stderr per run.
        """
        methods = list(methods)
        for number in range(repeat):
            for method in methods:
                done = self._runs.setdefault(f"{tag} {method}", [])
                spent = 0.0 if method in always else sum(one.whole_seconds for one in done)
                if (
                    len(done) > number
                    or any(one.error for one in done)
                    or (spent and spent + done[-1].whole_seconds > budget)
                ):
                    continue
                start = time.monotonic()
                found = run(method, task, timeout=max(2 * budget, SHORTEST_TIMEOUT), scratch=self.scratch)
                done.append(replace(found, whole_seconds=time.monotonic() - start))
                self._save(finished=False)
                if tell:
                    words = found.error or f"{found.seconds:.2f} s, {found.peak_mb:.0f} MB"
                    print(f"  {tag}: {method} {number + 1}/{repeat}: {words}", file=sys.stderr, flush=True)
        return {method: self._runs[f"{tag} {method}"] for method in methods}

    def has(self, method: str, tag: str) -> bool:
        """Already measured, before an interruption."""
        return bool(self._runs.get(f"{tag} {method}"))

    def once(self, method: str, task: Mapping[str, Any], *, tag: str, timeout: float = 900) -> Run:
        """A single run."""
        return self.interleave([method], task, tag=tag, repeat=1, budget=timeout / 2)[method][0]

    def finish(self) -> None:
        """The tables are written: the next run measures again."""
        self._save(finished=True)

    def _save(self, *, finished: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        runs = {key: [asdict(one) for one in found] for key, found in self._runs.items()}
        staged = self.path.with_suffix(".tmp")
        staged.write_text(
            json.dumps({"about": self.about, "finished": finished, "runs": runs}, indent=1), encoding="utf-8"
        )
        staged.replace(self.path)


def median(runs: Iterable[Run], what: str = "seconds") -> float | None:
    """Median of a number over the runs that worked; None when none did."""
    values = [getattr(one, what) for one in runs if one.error is None]
    return statistics.median(values) if values else None


def expect(runs: list[Run], factor: float, budget: float, *, grows: bool = True) -> str | None:
    """Why a method need not be tried on a table this many times larger; None when it may be.

    Args:
        runs: On the smaller table.
        factor: How many times more rows.
        budget: Seconds a single run may take.
        grows: Its memory grows with the rows.
    """
    if runs[0].error:
        return runs[0].error
    seconds, memory = (median(runs) or 0) * factor, (median(runs, "peak_mb") or 0) * factor
    if grows and seconds > 10 and memory > MEMORY_MB:
        return f"not run here: about {memory / 1000:.0f} GB expected, from the small table"
    return f"not run here: about {seconds:.0f} s expected, from the small table" if seconds > budget else None


def ratio(runs: Iterable[Run], floor: Iterable[Run]) -> float | None:
    """Median over median."""
    mine, base = median(runs), median(floor)
    return mine / base if mine is not None and base else None


def spread(runs: Iterable[Run]) -> float | None:
    """Largest over smallest: how noisy the machine was."""
    values = [one.seconds for one in runs if one.error is None]
    return max(values) / min(values) if values and min(values) > 0 else None
