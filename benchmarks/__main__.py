"""All benchmarks, one after the other; their tables go to docs/, unless this is a quick run.

    python -m benchmarks [--quick] [--full] [--repeat N] [--rows N] [--fresh]

Tables, lakes and single results are kept in benchmarks/.cache: a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

NAMES = ("extract", "flatten", "tenants", "summary", "post_mortem", "morning", "explore", "commands")


def main(words: list[str]) -> int:
    """Each in a process of its own, so that one that fails does not keep the others from running."""
    root, worst = Path(__file__).parent.parent, 0
    for name in NAMES:
        start = time.monotonic()
        target = [] if "--quick" in words else ["--markdown", f"docs/benchmarks-{name.replace('_', '-')}.md"]
        command = [sys.executable, "-m", f"benchmarks.{name}", *target, *words]
        done = subprocess.run(command, cwd=root, check=False)  # noqa: S603  # our own words
        said = "done" if done.returncode == 0 else f"exit {done.returncode}"
        print(f"benchmarks.{name}: {said} after {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        worst = max(worst, abs(done.returncode))
    return min(worst, 1)


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
    else:
        sys.exit(main(sys.argv[1:]))
