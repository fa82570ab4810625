"""``python -m tests.fields``: does the split of time hold its 95 % on fleets whose costs are known; exit code 1 when not."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.fields import coverage, table


def main() -> int:
    """Simulate, print nominal beside measured, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.fields", description=__doc__)
    parser.add_argument("--fleets", type=int, default=100, help="simulated fleets per kind")
    parser.add_argument("--seed", type=int, default=coverage.SEED)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page there")
    options = parser.parse_args()
    started = time.monotonic()
    *found, slow = coverage.simulate(options.fleets, options.seed, options.workers)
    print("\n".join([*table.cells(found), "", *table.slow_field(slow)]))
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    if options.markdown:
        options.markdown.write_text(table.page(found, slow, options.fleets, options.seed), encoding="utf-8")
    held = all(
        table.holds(total[f"{what} told"], total[f"{what} covered"]) for total in found for what in coverage.WHAT
    )
    return 0 if held and not any(total["blamed wrongly"] for total in found) else 1


if __name__ == "__main__":
    sys.exit(main())
