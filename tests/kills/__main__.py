"""Kill the jobs that are named, or all, on an embedded server of their own."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import psycopg

from analytics.demo.population import create_tables
from analytics.demo.server import EmbeddedServer
from tests.proof import forking

from . import erase, expire
from .harness import prove

BUILDERS = {"erase": erase.build, "expire": expire.build}


def main() -> int:
    """Every named step, then random moments."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--only", choices=BUILDERS, action="append", help="this job, not all of them")
    parser.add_argument("--random", type=int, default=200, metavar="N", help="kills at random moments (200)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for name in options.only or BUILDERS:
        folder = Path(tempfile.mkdtemp(prefix="strategy-analytics-"))
        try:
            with EmbeddedServer(folder / "server") as server:
                forking.begin(server.url)
                with psycopg.connect(server.url) as connection:
                    create_tables(connection)
                job = BUILDERS[name](server.url, folder)
                sys.stdout.write(f"{name}: {prove(job, folder / 'lake', options.random, options.seed)}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
