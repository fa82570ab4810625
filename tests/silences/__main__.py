"""``python -m tests.silences``: false alarms and lost stretches of many kinds of logs; exit code 1 above one false alarm in 100."""

from __future__ import annotations

import argparse
import sys

from tests.silences.arrivals import FLEETS, tally

PROMISED = 0.01


def main() -> int:
    """Simulate and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.silences", description=__doc__)
    parser.add_argument("--logs", type=int, default=1000, help="per kind")
    parser.add_argument("--seed", type=int, default=20261129)
    options = parser.parse_args()
    print("| log | logs | cannot tell | false alarms | lost stretches named | their rows in the interval |")
    print("|---|---:|---:|---:|---:|---:|")
    worst = 0.0
    for name, fleet in FLEETS.items():
        found = tally(fleet, options.logs, options.seed)
        inside = f"{100 * found.inside / found.named:.0f} %" if found.named else "–"
        named = f"{found.named} of {found.lost}"
        print(f"| {name} | {found.logs} | {found.untold} | {found.alarms} | {named} | {inside} |", flush=True)
        worst = max(worst, found.alarms / found.logs)
    return 1 if worst > PROMISED else 0


if __name__ == "__main__":
    sys.exit(main())
