"""``python -m tests.forecast``: does the range hold the day? Exit code 1 when it does not, or when growth is called too often."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.forecast import cells, table


def main() -> int:
    """Simulate, print, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.forecast", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="simulated logs per cell; of fleets, a fifth of it")
    parser.add_argument("--rows", type=int, nargs="+", default=list(cells.ROWS), help="logged rows a day")
    parser.add_argument("--days", type=int, nargs="+", default=list(cells.DAYS))
    parser.add_argument("--seed", type=int, default=cells.SEED)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there")
    options = parser.parse_args()
    wanted, started = cells.cells(options.rows, options.days), time.monotonic()
    found = []
    for number, tally in enumerate(cells.simulate(wanted, options.runs, options.seed, options.workers), 1):
        found.append(tally)
        took = f"{number} of {len(wanted)} cells, {time.monotonic() - started:.0f} s"
        print(f"\r{took}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    fleets = list(cells.simulate_fleets(max(options.runs // 5, 20), options.seed, options.workers))
    print("\n".join([*table.summary(found), "", *table.fleets(fleets)]))
    if options.markdown:
        options.markdown.write_text(table.page(found, fleets, options.runs, options.seed), encoding="utf-8")
    missed = [tally for tally in found if not tally.holds]
    for tally in missed:
        cell = tally.cell
        print(f"missed: {cell.growth.name}, {cell.rows} rows, {cell.days} days", file=sys.stderr)
    return 1 if missed or not all(one.holds for one in fleets) else 0


if __name__ == "__main__":
    sys.exit(main())
