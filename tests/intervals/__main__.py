"""``python -m tests.intervals``: the coverage experiment; exit code 1 when an interval does not hold what it promises."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from analytics.demo.population import RATE
from analytics.demo.population import simulate as simulate_engine
from tests.intervals import cells, table
from tests.intervals.population import ESTIMATES, Runs, is_within

_SAMPLES = 400
_BOUNDS = (0.93, 0.999)
"""Of strategies together: what is in whole numbers and bounds with few rows make it more than 95 %, never less."""


def main() -> int:
    """Simulate, print, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.intervals", description=__doc__)
    parser.add_argument("--logs", type=int, default=2 * cells.LOGS, help="per cell")
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there")
    options = parser.parse_args()
    wanted, started = cells.cells(), time.monotonic()
    found: list[cells.Tally] = []
    for number, tallies in enumerate(cells.simulate(wanted, options.logs, options.seed, options.workers), 1):
        found += tallies
        print(
            f"\r{number} of {len(wanted)} cells, {time.monotonic() - started:.0f} s",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    lines, held = _population(options.seed)
    page = table.page(found, lines, options.logs, options.seed)
    print("\n".join([*table.summary(found), "", *lines]))
    if options.markdown:
        options.markdown.write_text(page, encoding="utf-8")
    missed = [tally for tally in found if not tally.holds]
    for tally in missed:
        print(f"missed: {tally.name} in {tally.cell}: {tally.coverage:.3f}", file=sys.stderr)
    return 1 if missed or not held else 0


def _population(seed: int) -> tuple[list[str], bool]:
    """The demo's population, logged again and again."""
    with tempfile.TemporaryDirectory() as directory:
        engine = simulate_engine(directory=Path(directory))
        runs = Runs(engine.truth_path, RATE)
    truth = dict(zip(runs.keys, runs.truth(), strict=True))
    graded: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for rows in runs.summaries(_SAMPLES, seed):
        for row in rows:
            key = (row["realm_id"], row["strategy_id"], row["strategy_version"])
            for name in ESTIMATES:
                if row[f"{name}_grade"] != "too few":
                    graded[name] += 1
                    hits[name] += is_within(row, name, truth[key][name])
    return list(_told(engine.runs, len(truth), graded, hits)), all(
        _BOUNDS[0] <= hits[name] / graded[name] <= _BOUNDS[1] for name in ESTIMATES if graded[name]
    )


def _told(runs: int, strategies: int, graded: Counter[str], hits: Counter[str]) -> Iterator[str]:
    yield f"## strategy_summary on the demo's {runs:,} runs, {strategies} strategies, logged {_SAMPLES} times at rate {RATE:g}"
    yield ""
    yield "| estimate | graded good or rough | of these, interval holds the truth, % |"
    yield "|---|---:|---:|"
    for name in ESTIMATES:
        yield f"| {name} | {graded[name]:,} | {100 * hits[name] / graded[name]:.1f} |"


if __name__ == "__main__":
    sys.exit(main())
