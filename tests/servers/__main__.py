"""``python -m tests.servers``: the extraction against servers that people have; exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import MEMORY, _has_room
from tests.servers.backups import backups
from tests.servers.bench import Bench, Line
from tests.servers.pooled import pooled
from tests.servers.settings import settings
from tests.servers.shapes import replicas, shapes
from tests.servers.standbys import standbys
from tests.servers.tls import tls
from tests.servers.versions import versions

GROUNDS = (versions, tls, pooled, standbys, shapes, replicas, settings, backups)


def main() -> int:
    """Try every ground, and fill the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="of these grounds")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="servers-", dir=MEMORY if _has_room() else None, ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder), tell=tell)
        for ground in GROUNDS:
            if not options.only or ground.__name__ in options.only:
                bench.enter(ground)
    broken = [line for line in bench.lines if line.broken]
    compared = sum(line.compared.rows for line in bench.lines)
    print(f"{len(bench.lines) - len(broken)} of {len(bench.lines)} lines held, {compared:,} rows compared, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return 1 if broken else 0


def tell(line: Line) -> None:
    """A line as it comes."""
    how = f"BROKEN {line.broken}" if line.broken else f"skipped: {line.skipped}" if line.skipped else line.said
    print(f"{line.ground} | {line.what} | {line.compared.rows:,} rows | {line.seconds:.1f} s | {how}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
