"""``python -m tests.walk``: walks, seed by seed; exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from analytics.demo import EmbeddedServer
from tests.walk.walk import WalkError, walk


def main() -> int:
    """Walk, seed by seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.walk", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="walk-") as folder, EmbeddedServer(Path(folder) / "pg") as server:
        for seed in range(options.first, options.first + options.seeds):
            lake = Path(folder) / "lake"
            shutil.rmtree(lake, ignore_errors=True)
            try:
                walk(server.url, lake, seed, options.steps)
            except WalkError as error:
                failed += 1
                print(f"seed {seed}: {error}")
    print(f"{options.seeds - failed} of {options.seeds} walks of {options.steps} steps held")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
