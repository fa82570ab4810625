"""``python -m tests.intervals``: the coverage experiment; exit code 1 when an interval does not hold what it promises."""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from analytics.demo.population import RATE
from analytics.demo.population import simulate as simulate_engine
from tests.intervals import cells, groups, table
from tests.intervals.fleets import LARGEST, SMALLEST
from tests.intervals.population import Runs, covered

_SAMPLES = 400
_RUNS_OF_GROUPS = 12_000
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
    lines, held = _population(options.seed, min(_SAMPLES, options.logs))
    lines += ["", *groups.lines(min(_SAMPLES, options.logs), _RUNS_OF_GROUPS, options.seed)]
    page = table.page(found, lines, options.logs, options.seed, (SMALLEST, LARGEST))
    print("\n".join([*table.summary(found), "", *lines]))
    if options.markdown:
        options.markdown.write_text(page, encoding="utf-8")
    missed = [tally for tally in found if not tally.holds]
    for tally in missed:
        print(f"missed: {tally.name} in {tally.cell.words}: {tally.coverage:.3f}", file=sys.stderr)
    return 1 if missed or not held else 0


def _population(seed: int, samples: int) -> tuple[list[str], bool]:
    """The demo's population, logged again and again."""
    with tempfile.TemporaryDirectory() as directory:
        engine = simulate_engine(directory=Path(directory))
        runs = Runs(engine.truth_path, RATE)
    found, truth, naive = covered(runs, samples, seed), runs.truth(), runs.naive(seed)
    lines = [
        f"## strategy_summary on the demo's {engine.runs:,} runs, {len(truth)} strategies, "
        f"logged {samples} times at rate {RATE:g}",
        "",
        "Naive is what one log gives somebody who takes its rows for the runs: the median over strategies, truth = 1.",
        "",
        "| estimate | graded good or rough | of these, interval holds the truth, % | naive |",
        "|---|---:|---:|---:|",
    ]
    for name, (graded, hits) in found.items():
        ratios = [
            other[name] / own[name]
            for own, other in zip(truth, naive, strict=True)
            if own[name] and own[name] < math.inf
        ]
        lines.append(f"| {name} | {graded:,} | {100 * hits / graded:.1f} | {np.nanmedian(ratios):.2f} |")
    return lines, all(_BOUNDS[0] <= hits / graded <= _BOUNDS[1] for graded, hits in found.values())


if __name__ == "__main__":
    sys.exit(main())
