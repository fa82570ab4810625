"""``python -m tests.week``: a week in some minutes; exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from analytics import demo
from tests.week.servers import Servers
from tests.week.source import Source
from tests.week.week import Week, WeekError, utc

UNTIL = demo.UNTIL


def main() -> int:
    """Live through it, and say what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.week", description=__doc__)
    parser.add_argument("--hours", type=int, default=168)
    parser.add_argument("--runs", type=int, default=120_000, help="of the simulated engine in these days (120,000)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of kills")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave lake and reports here")
    options = parser.parse_args()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="week-"))
        Path(name).chmod(0o755)  # servers run as somebody else where we are root
        servers = Servers(Path(name))
        stack.callback(servers.end)
        folder = options.keep or Path(name) / "life"
        folder.mkdir(parents=True, exist_ok=True)
        population = demo.simulate(runs=options.runs, days=8, directory=Path(name) / "population")
        first = utc(f"{UNTIL - timedelta(days=8)}")
        week = Week(Source(servers.url), folder, first, random.Random(options.seed), servers)
        week.source.begin(population)
        servers.begin()
        try:
            week.run(options.hours)
        except WeekError as error:
            print(f"BROKEN {error}")
            return 1
        finally:
            print("\n".join(week.said))
            print(", ".join(f"{name}: {count:,}" for name, count in week.counts.items()))
    print(f"{options.hours} hours held, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
