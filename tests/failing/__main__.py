"""``python -m tests.failing``: false alarms and power of the search for failures; exit code 1 when more than one in a hundred."""

from __future__ import annotations

import argparse
import sys
import time

from scipy import stats

from tests.failing import experiment
from tests.failing.experiment import Tally

#: What the pages promise, and how surely a share above it is no chance of the simulation's own.
PROMISED, SURELY = 0.01, 0.001
#: Of every kind of planted incident so many must be found in all.
POWER = 0.9


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.failing", description=__doc__)
    parser.add_argument("--logs", type=int, default=400, help="per row of the table")
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    wanted, started = experiment.cells(), time.monotonic()
    print(
        "| failures | rate | fail | history | logs | told | % | only steadily |\n|---|---:|---:|---|---:|---:|---:|---:|"
    )
    found: list[Tally] = []
    for one in experiment.tallies(wanted, options.logs, options.seed, options.workers):
        found.append(one)
        print(row(one), flush=True)
    quiet = [one for one in found if not one.planted]
    alarms, of = sum(one.told for one in quiet), sum(one.logs for one in quiet)
    print(f"\n{alarms} false alarms in {of:,} logs without an incident: {100 * alarms / of:.2f} %")
    missed = [one for one in quiet if stats.binom.sf(one.told - 1, one.logs, PROMISED) < SURELY / len(quiet)]
    for planted in experiment.PLANTED:
        own = [one for one in found if one.planted == planted]
        share = sum(one.told for one in own) / sum(one.logs for one in own)
        print(f"{planted}: found in {100 * share:.1f} %")
        missed += own if share < POWER else []
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return 1 if missed else 0


def row(one: Tally) -> str:
    """One line of the table."""
    what = one.planted or one.cell.habit
    return (
        f"| {what} | {one.cell.rate:g} | {100 * one.cell.failing:g} % | {'a week' if one.cell.history else 'none'} "
        f"| {one.logs} | {one.told} | {100 * one.told / one.logs:.1f} | {one.steadily} |"
    )


if __name__ == "__main__":
    sys.exit(main())
