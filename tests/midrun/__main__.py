"""``python -m tests.midrun``: every change at every moment; exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from analytics.demo import EmbeddedServer
from tests.midrun.changes import CHANGES
from tests.midrun.midrun import MOMENTS, BrokenError, Cell, make_template


def main() -> int:
    """Play every cell."""
    parser = argparse.ArgumentParser(prog="python -m tests.midrun", description=__doc__)
    parser.add_argument("--change", default="", metavar="WORDS", help="only those whose name holds this")
    parser.add_argument("--moment", default="", metavar="WORDS", help="only those whose name holds this")
    parser.add_argument("--verbose", action="store_true", help="also how each cell ended")
    options = parser.parse_args()
    failed, ended, slowest, start = 0, Counter[str](), (0.0, ""), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="midrun-") as folder, EmbeddedServer(Path(folder) / "pg") as server:
        template = make_template(server.url)
        for change in CHANGES:
            if options.change not in change.name:
                continue
            for moment in MOMENTS:
                if options.moment not in moment.name:
                    continue
                for shrinks in (False, True)[: 1 + change.loses]:
                    cell = Cell(server.url, template, Path(folder), change, moment, shrinks)
                    try:
                        cell.run()
                    except BrokenError as error:
                        failed += 1
                        print(f"BROKEN {error}", flush=True)
                    said = "refused" if ": " in cell.outcome else cell.outcome
                    ended[said] += 1
                    slowest = max(slowest, (cell.seconds, str(cell)))
                    if options.verbose:
                        print(f"{cell} ({cell.seconds:.1f} s, waited {cell.waited:.1f} s): {cell.outcome}", flush=True)
    cells = sum(ended.values())
    print(f"{cells - failed} of {cells} cells held ({', '.join(f'{count} {how}' for how, count in ended.items())}), "
          f"{time.monotonic() - start:.0f} s; the longest run took {slowest[0]:.1f} s: {slowest[1]}")  # fmt: skip
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
