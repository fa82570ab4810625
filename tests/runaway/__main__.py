"""``python -m tests.runaway``: the stories once more for many seeds, and how often the report was right about them.

One seed can be lucky. The table shows, for each story, in how many seeds each question was answered right; the mistakes follow.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import psycopg

from analytics.demo import EmbeddedServer
from tests.runaway.judge import CHECKS
from tests.runaway.world import ALL, SEED, create, tell


def main() -> None:
    """Simulate, ask, count."""
    parser = argparse.ArgumentParser(prog="python -m tests.runaway", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--story", action="append", default=[], help="only this one; may be repeated")
    options = parser.parse_args()
    chosen = [found for found in ALL if found.key in options.story or not options.story]
    right: defaultdict[str, Counter[str]] = defaultdict(Counter)
    false: Counter[str] = Counter()
    mistakes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="runaway-") as folder, EmbeddedServer(Path(folder) / "pg") as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("create database runaway")
        url = server.url.replace("/postgres?", "/runaway?", 1)
        create(url)
        for found in chosen:
            for seed in range(SEED, SEED + options.seeds):
                lake = Path(folder) / "lake"
                told = tell(url, lake, found, seed)
                for name, check in CHECKS.items():
                    wrong = check(told)
                    right[found.key][name] += not wrong
                    false[found.key] += len(wrong) if name == "nothing else" else 0
                    mistakes += [f"{found.key}, seed {seed}, {name}: {words}" for words in wrong]
                shutil.rmtree(lake)
    print(f"right in so many of {options.seeds} seeds\n")
    print("| story |", " | ".join(CHECKS), "| false findings |")
    print("|---|", "---:|" * (len(CHECKS) + 1), sep="")
    for found in chosen:
        counts = " | ".join(str(right[found.key][name]) for name in CHECKS)
        print(f"| {found.key} | {counts} | {false[found.key]} |")
    print("\nnot right:", *mistakes, sep="\n- ")


if __name__ == "__main__":
    main()
