"""``python -m tests.proof``: the full proof, or the soak."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import table
from .faults import DETECTED_BY
from .prover import Prover
from .scenarios import SCENARIOS
from .soak import soak
from .world import a_server


def main() -> int:
    """Prove, print, and say by the exit code whether it holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, metavar="N", help="kills at random moments (300)")
    parser.add_argument("--seed", type=int, help="of everything random; another one each time when not given")
    parser.add_argument("--only", action="append", metavar="NAME", help="scenarios or defects whose name holds this")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    parser.add_argument("--small", action="store_true", help="the version of the test suite")
    parser.add_argument(
        "--soak", type=float, metavar="SECONDS", help="a writer, a reader, extracts and kills, this long"
    )
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    base = Path(tempfile.mkdtemp(prefix="strategy-analytics-"))
    start = time.perf_counter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server goes, too
    try:
        return _prove(options, base, seed, start)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _prove(options: argparse.Namespace, base: Path, seed: int, start: float) -> int:
    with a_server(base / "server") as server:
        print(f"seed {seed}; {table.versions(server.url)}", flush=True)
        if options.soak:
            return soak(server, base, seed, options.soak)
        prover = Prover(server, base, seed=seed, full=not options.small, kills=options.kills)
        wanted = [
            name
            for name in SCENARIOS
            if not options.only
            or any(word in name or any(word in fault for fault in _faults(name)) for word in options.only)
        ]
        lines = []
        for name in wanted:
            line = prover.prove(name)
            print(f"{'BROKEN' if line.broken else 'holds '}  {name} ({line.seconds:.0f} s) {line.broken}", flush=True)
            for fault in _faults(name):
                line.faults[fault] = prover.plant(fault)
                print(f"        {'noticed' if line.faults[fault] else 'UNNOTICED'}: {fault}", flush=True)
            lines.append(line)
        print(f"\n{table.text(lines)}\n")
        if options.markdown:
            options.markdown.parent.mkdir(parents=True, exist_ok=True)
            command = "python -m tests.proof " + " ".join(sys.argv[1:])
            page = table.markdown(
                lines,
                seed=seed,
                with_versions=table.versions(server.url),
                command=command,
                seconds=time.perf_counter() - start,
            )
            options.markdown.write_text(page, encoding="utf-8")
    return 0 if all(line.holds for line in lines) else 1


def _faults(name: str) -> list[str]:
    return [fault for fault, scenario in DETECTED_BY.items() if scenario == name]


if __name__ == "__main__":
    raise SystemExit(main())
