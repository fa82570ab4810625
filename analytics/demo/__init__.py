"""An engine whose truth is known: embedded PostgreSQL, simulated runs, planted stories and odd rows.

with build("demo") as demo:
demo.url            # the source, for psycopg or SQLAlchemy
demo.truth          # every run, logged or not
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Final, TypedDict, Unpack

from analytics.demo.edge_cases import EdgeCase, edge_cases
from analytics.demo.population import RATE, SEED, UNTIL, Loaded, Population, load, simulate, write_counters, write_truth
from analytics.demo.scenarios import SCENARIOS, Scenario
from analytics.demo.server import EmbeddedServer
from analytics.storage.typed_json import Json

__all__ = [
    "RATE",
    "SCENARIOS",
    "SEED",
    "UNTIL",
    "Demo",
    "EdgeCase",
    "EmbeddedServer",
    "Loaded",
    "Population",
    "Scenario",
    "Simulation",
    "build",
    "edge_cases",
    "load",
    "simulate",
    "write_truth",
]

#: Raise it whenever the same parameters would give other rows.
VERSION: Final = 3
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo; close it, or use it as a context manager.

    Attributes:
        directory: Where everything lies.
        url: The source's connection URL.
        truth: Every run, as Parquet.
        stories: The planted stories, as JSON.
        timings: Seconds per step; empty steps were skipped.
        counts: `runs`, `logged`, `failed`, `trace_entries`, `quirks`, `definitions`.
        server: The embedded server.
    """

    directory: Path
    url: str
    truth: Path
    stories: Path
    timings: dict[str, float]
    counts: dict[str, int]
    server: EmbeddedServer = field(repr=False)

    def close(self) -> None:
        """Stop the server, unless it was asked to stay."""
        self.server.stop()

    def __enter__(self) -> Demo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Simulation(TypedDict, total=False):
    """What is simulated.

    Attributes:
        runs: Runs, logged or not; 240,000 unless said otherwise.
        days: UTC days before `until`; 14.
        seed: Same seed, same rows; `SEED`.
        until: First day after the last one; `UNTIL`.
        rate: Sampling rate of ok runs; `RATE`.
        workers: Processes to simulate with; the rows do not depend on it. With several, which large populations get by
            themselves, a script keeps the call under ``if __name__ == "__main__"``.
    """

    runs: int
    days: int
    seed: int
    until: date
    rate: float
    workers: int | None


def build(
    directory: str | os.PathLike[str],
    *,
    recreate: bool = False,
    keep: bool = False,
    progress: Progress | None = None,
    **simulation: Unpack[Simulation],
) -> Demo:
    """Build a demo, or open the one that is already there with the same parameters.

    Args:
        directory: Gets `postgres/` and `truth/`.
        recreate: Build again even when an identical demo is there.
        keep: Leave the server running when this process ends.
        progress: Called with a few words before each step.
        **simulation: See `Simulation`.

    Raises:
        DemoError: The embedded PostgreSQL is missing or does not start.
    """
    whole: Simulation = {
        "runs": 240_000,
        "days": 14,
        "seed": SEED,
        "until": UNTIL,
        "rate": RATE,
        "workers": None,
        **simulation,
    }
    home = Path(directory)
    home.mkdir(parents=True, exist_ok=True)
    say = progress or _silent
    wanted: dict[str, Json] = {
        "version": VERSION,
        "runs": whole["runs"],
        "days": whole["days"],
        "seed": whole["seed"],
        "until": whole["until"].isoformat(),
        "rate": whole["rate"],
    }
    timings: dict[str, float] = {}
    marker = home / "demo.json"
    done = None if recreate else _read(marker, wanted)
    server = EmbeddedServer(home / "postgres", keep=keep)
    started = time.perf_counter()
    say("starting PostgreSQL")
    url = server.start()
    timings["start"] = time.perf_counter() - started
    try:
        if done is None:
            marker.unlink(missing_ok=True)  # written last again, so a build that was stopped is never taken for whole
            done = _fill(home, url, timings, say, **whole)
            marker.write_text(json.dumps({"parameters": wanted, "counts": done}, indent=1), encoding="utf-8")
    except BaseException:
        server.stop()
        raise
    truth = home / "truth"
    return Demo(home, url, truth / "population.parquet", truth / "stories.json", timings, done, server)


def _fill(
    home: Path, url: str, timings: dict[str, float], say: Progress, **simulation: Unpack[Simulation]
) -> dict[str, int]:
    def step(words: str, name: str, started: float) -> float:
        now = time.perf_counter()
        timings[name] = now - started
        say(words)
        return now

    clock = time.perf_counter()
    say(f"simulating {simulation['runs']:,} runs")
    population = simulate(directory=home / "simulated", **simulation)
    clock = step("loading the log", "simulate", clock)
    loaded = load(population, url, recreate=True)
    clock = step("writing the truth", "load", clock)
    write_truth(population, home)
    write_counters(population.truth_path, home / "truth" / "counters.prom.gz")
    population.log_path.unlink()  # it is in the server now
    population.truth_path.unlink()
    step("done", "truth", clock)
    return {
        "runs": population.runs,
        "logged": population.logged,
        "failed": population.failed,
        "trace_entries": population.trace_entries,
        "quirks": loaded.quirks,
        "definitions": loaded.definitions,
    }


def _read(marker: Path, wanted: dict[str, Json]) -> dict[str, int] | None:
    """The counts of a finished demo with these parameters, or None."""
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("parameters") != wanted:
        return None
    counts: dict[str, int] = found["counts"]
    return counts


def _silent(_words: str) -> None:
    """Say nothing."""
