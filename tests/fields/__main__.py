"""``python -m tests.fields``: does the split of time hold its 95 % on fleets whose costs are known; exit code 1 when not."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import numpy as np

from tests.fields.coverage import LEAST, experiment, slow_experiment


def main() -> int:
    """Simulate and print nominal beside measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.fields", description=__doc__)
    parser.add_argument("--fleets", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20260711)
    options = parser.parse_args()
    started = time.monotonic()
    held = True
    for families, per_day in ((8, 25), (16, 25), (40, 25), (16, 200)):
        total: Counter[str] = Counter()
        for number in range(options.fleets):
            total += experiment(np.random.default_rng([options.seed, families, per_day, number]), families, per_day)
        print(f"{families} programs, {per_day} logged runs a day each:")
        for what in ("field", "sum of fields", "node", "rest"):
            asked, hit = total[f"{what} told"], total[f"{what} covered"]
            if asked:
                held = held and hit / asked >= LEAST
                print(f"  {what:14} nominal 95 %, measured {100 * hit / asked:.1f} % of {asked}")
        print(
            f"  fields told    {total['field told']} of {total['field asked']}; slow without a cause: {total['blamed wrongly']}"
        )
    total = Counter()
    for number in range(options.fleets):
        total += slow_experiment(np.random.default_rng([options.seed, number]))
    print("a field slow in one realm:", dict(total))
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
